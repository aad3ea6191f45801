package seeds_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/internal/seeds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a test that may fail.
type recorder struct {
	mu           sync.Mutex
	logs, errors []string
}

func (r *recorder) Logf(format string, args ...any)   { r.add(&r.logs, format, args) }
func (r *recorder) Errorf(format string, args ...any) { r.add(&r.errors, format, args) }

func (r *recorder) add(to *[]string, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, fmt.Sprintf(format, args...))
}

// fourth breaks with seed 3 alone.
func fourth(seed uint64, tell seeds.Tell) string {
	return seeds.Play(func() {
		if tell != nil {
			tell("once upon a time")
		}
		if seed == 3 {
			seeds.Violatef("%d must not happen", seed)
		}
	})
}

func TestRun(t *testing.T) {
	t.Setenv("SEED", "")
	t.Setenv("SEEDS", "")
	var r recorder
	seeds.Run(&r, 3, fourth)
	require.Empty(t, r.errors)
	seeds.Run(&r, 10, fourth)
	require.Equal(t, []string{"SEED=3: 3 must not happen"}, r.errors)

	t.Setenv("SEEDS", "3")
	r = recorder{}
	seeds.Run(&r, 10, fourth)
	require.Empty(t, r.errors)

	t.Setenv("SEED", "3")
	seeds.Run(&r, 10, fourth)
	require.Equal(t, []string{"SEED=3: 3 must not happen"}, r.errors)
	require.Contains(t, r.logs, "once upon a time")
}

func TestFind(t *testing.T) {
	t.Parallel()
	quiet := func(seed uint64) string { return fourth(seed, nil) }
	var r recorder
	seeds.Find(&r, 10, quiet)
	require.Empty(t, r.errors)
	require.Equal(t, []string{"found with 4 seeds: 3 must not happen"}, r.logs)
	seeds.Find(&r, 3, quiet)
	require.Equal(t, []string{"the mistake is not found with 3 seeds"}, r.errors)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	var r recorder
	seeds.Replay(&r, 10, fourth)
	require.Empty(t, r.errors)
	told := 0
	seeds.Replay(&r, 10, func(_ uint64, tell seeds.Tell) string { told++; tell("%t", told == 6); return "" })
	require.Equal(t, []string{"SEED=2 is not the same story twice"}, r.errors)
}

// TestOtherPanics are mistakes of the simulation itself.
func TestOtherPanics(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "oops", func() { _ = seeds.Play(func() { panic("oops") }) })
}
