//go:build cluster

package simtrace_test

// elections: traces of clusters, whose servers elect leaders, are played, too.
const elections = true
