# Reads the output of go test -bench with -benchmem and prints, for each benchmark
# that has a contestant /raw and a contestant /ours, the medians of ours as ratios
# to raw's. In each round the contestants run next to one another.
/^Benchmark.*\/(raw|ours)/ {
	name = $1
	sub(/-[0-9]+$/, "", name)
	n[name]++
	time[name, n[name]] = $3
	for (i = 4; i < NF; i++) {
		if ($(i + 1) == "B/op") bytes[name, n[name]] = $i
		if ($(i + 1) == "allocs/op") allocs[name, n[name]] = $i
	}
	base = name
	sub(/\/(raw|ours)$/, "", base)
	if (!(base in seen)) { seen[base] = 1; order[++rows] = base }
}

function median(values, name,    i, j, t, v, count) {
	count = n[name]
	for (i = 1; i <= count; i++) v[i] = values[name, i] + 0
	for (i = 2; i <= count; i++)
		for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
	return count % 2 ? v[(count + 1) / 2] : (v[count / 2] + v[count / 2 + 1]) / 2
}

END {
	printf "%-28s %8s %8s %14s\n", "ours to raw", "time", "bytes", "allocations"
	for (i = 1; i <= rows; i++) {
		raw = order[i] "/raw"
		ours = order[i] "/ours"
		printf "%-28s %8.2f %8.2f %6d to %d\n", order[i], median(time, ours) / median(time, raw),
			median(bytes, ours) / median(bytes, raw), median(allocs, ours), median(allocs, raw)
	}
}
