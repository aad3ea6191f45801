package versions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener/internal/versions"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		version, last int64
		begins        bool
		want          versions.Decision
		missing       int64
	}{
		"begins":                           {0, versions.None, true, versions.Apply, 0},
		"begins at a later version":        {7, versions.None, true, versions.Apply, 0},
		"nothing was applied":              {3, versions.None, false, versions.Wait, 3},
		"nothing was applied, version 0":   {0, versions.None, false, versions.Wait, 0},
		"next":                             {4, 3, false, versions.Apply, 0},
		"next, though it begins":           {4, 3, true, versions.Apply, 0},
		"the same again":                   {3, 3, false, versions.Skip, 0},
		"the one that begins, again":       {0, 3, true, versions.Skip, 0},
		"one is missing":                   {5, 3, false, versions.Wait, 1},
		"many are missing":                 {300, 0, false, versions.Wait, 299},
		"one is missing, though it begins": {5, 3, true, versions.Wait, 1},
	} {
		got, missing := versions.Decide(test.version, test.last, test.begins)
		require.Equal(t, test.want, got, name)
		require.Equal(t, test.missing, missing, name)
	}
}

// TestRetryAfter: those that wait are tried in the order of their versions.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	require.Equal(t, 105*time.Millisecond, versions.RetryAfter(1, 1))
	require.Equal(t, 110*time.Millisecond, versions.RetryAfter(2, 1))
	require.Equal(t, 205*time.Millisecond, versions.RetryAfter(1, 2))
	require.Equal(t, 6*time.Second, versions.RetryAfter(1_000_000, 100))
}
