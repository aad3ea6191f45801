package faults_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// The handlers that a termination finds take as long as that.
	shortWork = 100 * time.Millisecond
	longWork  = 400 * time.Millisecond

	// ownEvents is more than a service publishes here in its life.
	ownEvents = 1000
)

// TestTermination ends a service in the middle of its work, as its orchestrator does,
// again and again: handlers run, and it publishes. Nothing is lost, nothing handled
// twice, and it ends soon after its handlers.
//
// In full it keeps the processors busy, and so does not run beside what takes time.
func TestTermination(t *testing.T) { //nolint:tparallel // see above
	lanes, times := 2, 100
	if !*full {
		t.Parallel()
		lanes, times = 1, 8
	}
	for _, s := range sides() {
		if !s.ours() {
			continue
		}
		for lane := range lanes {
			t.Run(fmt.Sprintf("%s, %d", s.title, lane+1), func(t *testing.T) {
				t.Parallel()
				c := newScene(t, s, perSecond(50))
				require.NoError(t, c.join())
				c.publish()
				end := &terminations{}
				for range times {
					one := c.terminate(t, publishes, func() {})
					require.Zero(t, one.exit)
					end.enter(one)
				}
				c.start(t, "listener", 0).awaitReady(t)
				f := c.end(t)
				// On a busy machine the signal may come when the handlers are over.
				assert.GreaterOrEqual(t, end.busy, int(span(90, 4)), "no handler ran")
				assert.GreaterOrEqual(t, end.published, int(span(90, 4)), "nothing was published")
				assert.LessOrEqual(t, end.after, span(time.Second, 10*time.Second), "after its last handler")
				assert.LessOrEqual(t, end.took, longWork+span(time.Second, 10*time.Second))
				assert.Zero(t, f.lost+f.stuck+f.refused+f.unknown+f.ghosts+f.open+f.again, "%s", f)
				t.Logf("%s: %s", end, f)
			})
		}
		t.Run(s.title+", the server out of reach", func(t *testing.T) {
			t.Parallel()
			c := newScene(t, s, perSecond(50))
			require.NoError(t, c.join())
			c.publish()
			end := &terminations{}
			for range int(span(5, 2)) {
				end.enter(c.terminate(t, "", func() { c.link.Stall(true) }))
				c.link.Stall(false)
			}
			c.start(t, "listener", 0).awaitReady(t)
			f := c.end(t)
			assert.GreaterOrEqual(t, end.busy, end.times/2, "no handler ran")
			assert.LessOrEqual(t, end.took, span(5*time.Second, 15*time.Second))
			// What it has published may be of unknown outcome, and handled again.
			assert.Zero(t, f.lost+f.stuck+f.ghosts+f.open, "%s", f)
			t.Logf("%s: %s", end, f)
		})
	}
}

// termination is how one service ended.
type termination struct {
	busy      bool          // a handler was running
	published bool          // what it published was confirmed after the signal
	after     time.Duration // from the last handler's return to the end
	took      time.Duration // from the signal
	exit      int
}

// terminate starts a service, and tells it to end while handlers run. Theirs are events
// that do that. before comes right before the signal.
func (c *scene) terminate(t *testing.T, does string, before func()) termination {
	t.Helper()
	service := c.start(t, "listener", ownEvents)
	service.awaitReady(t)
	busy := false
	for deadline := time.Now().Add(patience); !busy && time.Now().Before(deadline); {
		for range 3 {
			takes := shortWork + rand.N(longWork-shortWork)
			c.post(beat{Takes: takes.Milliseconds(), Does: does}, false)
		}
		// On a busy machine all three may be over before the test looks: then it posts others.
		busy = await(2*time.Second, service.busy)
	}
	require.True(t, busy, "it handles nothing")
	before()
	at := time.Now()
	service.signal(t, syscall.SIGTERM)
	service.awaitExit(t)
	busy, published, last := service.since(at)
	return termination{busy, published, service.end.Sub(last), service.end.Sub(at), service.cmd.ProcessState.ExitCode()}
}

// terminations are the worst of all.
type terminations struct {
	times, busy, published int
	after, took            time.Duration
}

func (e *terminations) enter(one termination) {
	e.times++
	if one.busy {
		e.busy++
	}
	if one.published {
		e.published++
	}
	e.after, e.took = max(e.after, one.after), max(e.took, one.took)
}

func (e *terminations) String() string {
	return fmt.Sprintf("%d times, a handler running in %d, events published in %d, within %v, %v after its last handler at most",
		e.times, e.busy, e.published, e.took.Round(time.Millisecond), e.after.Round(time.Millisecond))
}
