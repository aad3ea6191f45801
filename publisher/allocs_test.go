//go:build !race

package publisher_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAllocations holds what a publish allocates, on a broker in memory, to what it
// was. The race detector allocates, too: make test runs it without.
func TestAllocations(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			p, event := onMemory(t, w.broker)
			require.LessOrEqual(t, testing.AllocsPerRun(2000, func() { w.publish(t, p, event) }), w.allocs)
		})
	}
}
