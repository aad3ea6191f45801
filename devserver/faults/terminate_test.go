package faults_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTermination ends a service in the middle of its work, as its orchestrator does,
// again and again: nothing is lost, nothing handled twice, and it does not take long.
//
// In full it keeps the processors busy, and so does not run beside what takes time.
func TestTermination(t *testing.T) { //nolint:tparallel // see above
	times := 200
	if !*full {
		t.Parallel()
		times = 20
	}
	for _, s := range sides() {
		if !s.ours() {
			continue
		}
		t.Run(s.title, func(t *testing.T) {
			t.Parallel()
			c := newScene(t, s, perSecond(50))
			require.NoError(t, c.join())
			c.publish()
			var slowest time.Duration
			for range times {
				service := c.start(t, "listener")
				service.awaitReady(t)
				handled := c.ledger.count()
				await(patience, func() bool { return c.ledger.count() > handled })
				require.Greater(t, c.ledger.count(), handled, "it handles nothing")
				slowest = max(slowest, service.terminate(t))
				require.Zero(t, service.cmd.ProcessState.ExitCode())
			}
			c.start(t, "listener").awaitReady(t)
			f := c.end(t)
			assert.LessOrEqual(t, slowest, work+span(time.Second, 3*time.Second))
			assert.Zero(t, f.lost+f.stuck+f.refused+f.unknown+f.ghosts+f.open+f.again, "%s", f)
			t.Logf("%d times, within %v: %s", times, slowest, f)
		})
		t.Run(s.title+", the server out of reach", func(t *testing.T) {
			t.Parallel()
			c := newScene(t, s, perSecond(50))
			require.NoError(t, c.join())
			c.publish()
			service := c.start(t, "listener")
			service.awaitReady(t)
			c.flow()
			c.link.Stall(true)
			took := service.terminate(t)
			c.link.Stall(false)
			require.LessOrEqual(t, took, 5*time.Second)

			c.start(t, "listener").awaitReady(t)
			f := c.end(t)
			assert.Zero(t, f.lost+f.stuck+f.refused+f.unknown+f.ghosts+f.open, "%s", f)
			t.Logf("within %v: %s", took, f)
		})
	}
}

// terminate returns how long the service takes to end.
func (s *child) terminate(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	s.signal(t, syscall.SIGTERM)
	s.awaitExit(t)
	return time.Since(begun)
}

// count is how often a handler was called.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.handlers)
}
