package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestContestants: each contestant stores what it is given, waiting or not, and
// handles and acknowledges every event: there are more than it may have in flight.
func TestContestants(t *testing.T) {
	program := server(t)
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			url, stop, err := startServer(t.Context(), program, "")
			require.NoError(t, err)
			defer stop()
			for _, c := range transport.contestants {
				t.Run(c.name, func(t *testing.T) {
					k, err := c.connect(t.Context(), url)
					require.NoError(t, err)
					defer k.close()
					const single, all = 3, inFlight + 100
					event := newTickets(sizes[0].bytes).at
					for i := range single {
						require.NoError(t, k.publish(t.Context(), event(i)))
					}
					require.NoError(t, k.pipeline(t.Context(), all-single, func(i int) ticket { return event(single + i) }))

					for range 2 { // the second time as a new listener
						seen := make(map[ticket]bool)
						var m meter
						require.NoError(t, k.receive(t.Context(), reception{
							n: all, begin: m.start, handle: func(e ticket) { seen[e] = true }, done: func() { m.stop(all) },
						}))
						require.Len(t, seen, all)
						for i := range all {
							require.True(t, seen[event(i)])
						}
						assert.Positive(t, m.taken.time)
						assert.Positive(t, m.taken.cpu)
						assert.GreaterOrEqual(t, m.taken.allocs, 1.0)
						assert.GreaterOrEqual(t, m.taken.bytes, float64(sizes[0].bytes))
					}
				})
			}
		})
	}
}

// TestContest runs some workloads, tiny.
func TestContest(t *testing.T) {
	var report, progress bytes.Buffer
	plot := t.TempDir() + "/plot.svg"
	require.NoError(t, run(t.Context(), []string{
		"-rounds", "1", "-scale", "0.01", "-devserver", "../../devserver", "-plot", plot,
		"-only", "Streaming: Publish, 120 B|Streaming: receive, 120 B|16 workers|from Publish|100 subjects|idle",
	}, &report, &progress))
	for _, want := range []string{
		"| `Publish`, 120 B | <= 10 allocations | ",
		"| watermill | ",
		"| 100 subjects and listeners against one | ",
		"| idle listener | <= 2 goroutines | ",
		"| ours, p99 | ",
		"| raw, holds | ",
		"| ours, holds | ",
	} {
		assert.Contains(t, report.String(), want)
	}
	assert.NotContains(t, report.String(), "NaN")
	assert.Equal(t, 6, strings.Count(progress.String(), "\n"), "one line for each workload")
}

// TestProfiles: some entrants alone, and a profile of each of their rounds.
func TestProfiles(t *testing.T) {
	var report, progress bytes.Buffer
	folder := t.TempDir() + "/profiles"
	require.NoError(t, run(t.Context(), []string{
		"-rounds", "2", "-scale", "0.01", "-devserver", "../../devserver",
		"-only", "Streaming: Publish, 120 B", "-entrant", "^(raw|ours)$", "-profile", folder,
	}, &report, &progress))
	assert.Contains(t, report.String(), "\n| ours | ")
	assert.NotContains(t, report.String(), "\n| watermill | ")
	profiles, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, profiles, 4)
	for _, p := range profiles {
		info, err := p.Info()
		require.NoError(t, err)
		assert.Positive(t, info.Size())
	}
}

// TestNobody: what would measure nothing says so.
func TestNobody(t *testing.T) {
	var report, progress bytes.Buffer
	err := run(t.Context(), []string{"-devserver", "../../devserver", "-only", "Publsh", "-entrant", "ours"}, &report, &progress)
	require.ErrorContains(t, err, `-only "Publsh" and -entrant "ours"`)
	assert.Empty(t, report.String())
}

func TestMeasuredGoals(t *testing.T) {
	costs := func(time, allocs float64) []sample {
		return []sample{{time: time, allocs: allocs}, {time: time + 1, allocs: allocs}, {time: 1000 * time, allocs: allocs}}
	}
	r := results{"w": {us: costs(50, 10.1), raw: costs(100, 12)}}
	for name, test := range map[string]struct {
		figure  figure
		limit   float64
		atLeast bool
		value   float64
		met     bool
	}{
		"ratio of medians":         {timeRatio, 0.5, false, 51.0 / 101, true},
		"too slow":                 {timeRatio, 0.49, false, 51.0 / 101, false},
		"faster":                   {faster, 1.9, true, 101.0 / 51, true},
		"not as much faster":       {faster, 2, true, 101.0 / 51, false},
		"a tenth of an allocation": {allocations, 10, false, 10.1, true},
		"one too many":             {allocations, 9, false, 10.1, false},
		"fewer":                    {allocsMore, 0, false, -1.9, true},
	} {
		t.Run(name, func(t *testing.T) {
			value, met := goal{workload: "w", entrant: us, of: raw, figure: test.figure, limit: test.limit, atLeast: test.atLeast}.measured(r)
			assert.InDelta(t, test.value, value, 0.001)
			assert.Equal(t, test.met, met)
		})
	}
}

// TestVerdict: what is nearer to its limit than raw to itself is not for sure. It is
// compared to both rounds of raw.
func TestVerdict(t *testing.T) {
	costs := func(time float64) []sample { return []sample{{time: time}} }
	r := results{"w": {us: costs(92), raw: costs(100), rawAgain: costs(110)}, "quiet": {us: costs(92), raw: costs(100)}}
	for name, test := range map[string]struct {
		workload string
		figure   figure
		limit    float64
		verdict  string
	}{
		"met":              {"w", timeRatio, 1.2, "met"},
		"just met":         {"w", timeRatio, 0.9, "met, by less than the noise (10 %)"},
		"at the limit":     {"w", timeRatio, 0.88, "met, by less than the noise (10 %)"},
		"just missed":      {"w", timeRatio, 0.85, "**not met**, by less than the noise (10 %): why"},
		"missed":           {"w", timeRatio, 0.5, "**not met**: why"},
		"no noise is told": {"quiet", timeRatio, 0.9, "**not met**: why"},
		"no ratio":         {"w", allocations, 0, "met"},
	} {
		t.Run(name, func(t *testing.T) {
			g := goal{workload: test.workload, entrant: us, of: raw, figure: test.figure, limit: test.limit, reason: "why"}
			assert.Equal(t, test.verdict, g.verdict(r))
		})
	}
}

// TestBars: the plot shows what the tables do.
func TestBars(t *testing.T) {
	costs := func(time float64) []sample { return []sample{{time: time}} }
	o := outcome{order: []string{"w"}, results: results{"w": {us: costs(84), raw: costs(100), rawAgain: costs(110)}}}
	assert.Equal(t, []bars{{workload: "w", entrants: []bar{{us, 0.8}}}}, o.bars())
}

// TestNoServer: no contestant fails but by an error.
func TestNoServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, transport := range transports {
		for _, c := range transport.contestants {
			_, err := c.connect(ctx, "nats://127.0.0.1:1")
			require.Error(t, err, "%s, %s", transport.name, c.name)
		}
	}
}

// TestTicketsHoldLittle: a heap of large events would spare all who are measured the
// garbage collector.
func TestTicketsHoldLittle(t *testing.T) {
	before := inUse()
	all := newTickets(16 << 10)
	assert.Less(t, inUse()-before, float64(1<<20))
	runtime.KeepAlive(all)
}

// TestSettled: what ends a little later is waited for, what stays is not for long.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewest := settled(math.MaxInt)
		end := make(chan struct{})
		go func() { <-end }()
		began := time.Now()
		assert.Equal(t, fewest, settled(fewest))
		assert.Equal(t, 100*time.Millisecond, time.Since(began))
		assert.Greater(t, runtime.NumGoroutine(), fewest)

		time.AfterFunc(10*time.Millisecond, func() { close(end) })
		assert.Equal(t, fewest, settled(fewest))
		assert.Equal(t, fewest, runtime.NumGoroutine())
	})
}

func TestPayloadSizes(t *testing.T) {
	for _, size := range sizes {
		all := newTickets(size.bytes)
		ids := make(map[string]bool)
		for _, e := range all {
			data, err := plainJSON{}.Encode(e)
			require.NoError(t, err)
			assert.Len(t, data, size.bytes)
			ids[e.ID], ids[e.UserID], ids[e.Title] = true, true, true
		}
		assert.Len(t, ids, 3*len(all), "no text comes twice")
	}
}
