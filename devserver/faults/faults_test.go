package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fault is a row of the table.
type fault struct {
	name  string
	goal  string // in words
	back  time.Duration
	late  time.Duration // 0: no goal
	says  string        // what the service's log must tell
	again bool          // of several processes one may handle what another has
	play  func(*testing.T, *scene)
}

// faults are those of the connection, the server, the link, publishing, the client
// ID and the end of a process.
var faults = []fault{
	{
		name: "server killed three times, restarted after 1 s", goal: "0 refused, back in 0.5 s, 0 doubles",
		back: 500 * time.Millisecond, play: killServer,
	},
	{
		name: "server shut down in order three times (SIGTERM), restarted after 1 s, listener busy", goal: "0 refused, back in 0.5 s",
		back: 500 * time.Millisecond, play: shutDownServer,
	},
	{
		name: "server frozen 10 s", goal: "0 refused, back 0.5 s after it thaws",
		back: 500 * time.Millisecond, play: freeze(10*time.Second, 2*time.Second),
	},
	{
		name: "server frozen 40 s", goal: "0 refused, back 0.5 s after it thaws",
		back: 500 * time.Millisecond, play: freeze(40*time.Second, 6*time.Second),
	},
	{
		name: "link cut 5 s", goal: "0 refused",
		back: time.Second, play: cutLink,
	},
	{
		name: "link half-closed, either way", goal: "0 refused",
		back: time.Second, play: halfClose,
	},
	{
		name: "black hole 30 s", goal: "0 refused, back in 0.5 s",
		back: 500 * time.Millisecond, play: blackHole,
	},
	{
		name: "link silently dead", goal: "noticed and replaced within 5 s",
		back: 5 * time.Second, play: dropLink,
	},
	{
		name: "listener killed, restarted under the same client ID", goal: "nothing waits longer than an ack wait, 5 s",
		back: 5 * time.Second, late: 6 * time.Second, again: true, play: killListener("listener", "listener"),
	},
	{
		name: "listener killed, restarted under a new client ID", goal: "nothing lost",
		back: patience, again: true, play: killListener("listener", "successor"),
	},
	{
		name: "server back with an empty store", goal: "back within 1 s, loss reported",
		back: time.Second, says: "is lost", play: emptyServer,
	},
	{
		name: "publishing while disconnected 10 s", goal: "0 refused, within the context",
		back: time.Second, play: stopServer,
	},
	{
		name: "client starts before the server", goal: "waits within the context, reports",
		back: 2 * time.Second, says: "not connected yet", play: startEarly,
	},
	{
		name: "two processes, one client ID; the older is frozen, replaced, thaws and closes", goal: "successor unharmed",
		back: time.Second, again: true, play: replace,
	},
}

// TestFaults plays each fault on each side.
func TestFaults(t *testing.T) {
	t.Parallel()
	for row, f := range faults {
		for _, s := range sides() {
			t.Run(f.name+"/"+s.title, func(t *testing.T) {
				t.Parallel()
				c := newScene(t, s, perSecond(50))
				f.play(t, c)
				require.Zero(t, c.ledger.during(), "events that were published during the fault were handled during it: it was none")
				var end figures
				if c.exited == nil {
					end = c.end(t)
				}
				r := result{account: end, row: f.name, goal: f.goal, side: s, exited: c.exited, exitedAfter: c.exitedAfter}
				if s.ours() {
					r.missed = f.missed(c, end)
				}
				faultTable.enter(t, row, r)
			})
		}
	}
}

func perSecond(usual int) int {
	if *rate > 0 {
		return *rate
	}
	return usual
}

// missed are the goals that a service of ours did not reach.
func (f fault) missed(c *scene, end figures) []string {
	if c.exited != nil {
		return []string{"it did not wait: " + c.exited.Error()}
	}
	missed := end.missed()
	if !f.again {
		missed = append(missed, some([]tally{{end.again, "handled again"}})...)
	}
	if c.side.name == jetStream.name { // NATS Streaming can't tell what it has stored already
		missed = append(missed, some([]tally{{end.doubled, "stored twice"}})...)
	}
	missed = append(missed, within(end.back, f.back, "back")...)
	if f.late > 0 {
		missed = append(missed, within(end.late, f.late, "the worst event late")...)
	}
	if f.says != "" && !c.says.warns(f.says) {
		missed = append(missed, fmt.Sprintf("the log does not say %q", f.says))
	}
	return missed
}

// missed is what no service of ours may have to show.
func (f figures) missed() []string {
	return some([]tally{
		{f.lost, "confirmed and not stored"},
		{f.stuck, "stored and not handled"},
		{f.ghosts, "stored although their publish said that they are not"},
		{f.refused, "refused"},
		{f.unknown, "of unknown outcome"},
		{f.open, "publishes did not return"},
	})
}

// within holds a time against its goal.
func within(took, goal time.Duration, what string) []string {
	if *soak == 0 && !*full {
		goal += slack
	}
	if took == never || took > goal {
		return []string{fmt.Sprintf("%s %s, not within %v", what, seconds(took), goal)}
	}
	return nil
}

// slack is what goals of time are given beside all other tests, on a machine that may
// be busy with others: there, what counts is what becomes of the events. It is longer than
// patience, so that only what does not come back at all misses its goal.
const slack = 30 * time.Second
