package faults_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sgtickets/common/events"
)

// trial is a row of the table of what events do to their handlers.
type trial struct {
	name, goal string
	setup      setup            // but for the ack wait
	begins     func(s side) int // of an odd event, at most; nil: no goal
	letters    int              // dead letters, each with the exact bytes
	gap        time.Duration    // between two handlers, at most; 0: no goal
	late       time.Duration    // of the others; 0: no goal
	took       time.Duration    // until it is over, in full
	told       string           // by the service's status
	again      bool             // the others may be handled again
	shared     bool             // by two members; see begunAgain
	crashes    int              // of the service, at most
	play       func(*testing.T, *scene)
}

var trials = []trial{
	{
		name: "three 12 s handlers, ack wait 5 s, one member", goal: "none begun again, others not delayed",
		setup: usual, begins: times(1), late: time.Second, took: 13 * time.Second, play: slow(1),
	},
	{
		name: "the same, two members", goal: "those three once more a member; none on JetStream",
		setup: usual, begins: func(s side) int {
			if s.name == jetStream.name {
				return 1
			}
			return 2
		}, late: time.Second, took: 13 * time.Second, shared: true, play: slow(2),
	},
	{
		name: "a handler that panics on one event, 5 attempts", goal: "0 crashes, 1 dead letter",
		setup: setup{Concurrency: 4, MaxInFlight: 64, MaxAttempts: attempts}, begins: times(attempts), letters: 1,
		late: time.Second, took: patience, play: panicking,
	},
	{
		name: "a handler that ends its process on one event", goal: "at most 7 crashes, 1 dead letter, the others go on",
		setup: setup{Concurrency: 4, MaxInFlight: 64}, begins: times(7), letters: 1, crashes: 7, again: true,
		took: 2 * time.Minute, play: exiting,
	},
	{
		name: "the same under client IDs of their own", goal: "the same",
		setup: setup{Concurrency: 4, MaxInFlight: 64}, begins: times(7), letters: 1, crashes: 7, again: true,
		took: 3 * time.Minute, play: exitingAnew,
	},
	{
		name: "an undecodable payload, one in flight", goal: "1 dead letter, gap under 0.2 s",
		setup: setup{Concurrency: 1, MaxInFlight: 1}, letters: 1,
		gap: 200 * time.Millisecond, took: patience, play: undecodable(1),
	},
	{
		name: "16 undecodable payloads, 16 in flight", goal: "16 dead letters, gap under 0.2 s",
		setup: setup{Concurrency: 1, MaxInFlight: 16}, letters: 16,
		gap: 200 * time.Millisecond, took: patience, play: undecodable(16),
	},
	{
		name: "a process killed in the middle of a handler", goal: "handled by the next one, nothing lost",
		setup: usual, begins: times(2), again: true, took: 10 * time.Second, play: killHandler,
	},
	{
		name: "16 events that always fail, 16 in flight, 5 attempts", goal: "16 dead letters, then on",
		setup: setup{Concurrency: 4, MaxInFlight: 16, MaxAttempts: attempts}, begins: times(attempts), letters: 16,
		gap: 3 * time.Second, took: patience, play: failing,
	},
	{
		name: "the same without dead letters, mended then", goal: "degraded, with how to get out; recovers in an ack wait",
		setup: setup{Concurrency: 4, MaxInFlight: 16, MaxAttempts: 2, NoDeadLetters: true},
		took:  6 * time.Second, told: "degraded, then connected", play: stalled,
	},
}

// attempts are enough to see that they end.
const attempts = 5

func times(n int) func(side) int { return func(side) int { return n } }

// sidesOfEvents are those to be measured with what needs no link.
func sidesOfEvents() []side { return chosen(streaming, jetStream, inMemory, raw) }

// TestHandlers plays each trial on each side. It keeps the processors busy, and so
// does not run beside what takes time.
func TestHandlers(t *testing.T) { //nolint:tparallel // see above
	for row, f := range trials {
		for _, s := range sidesOfEvents() {
			t.Run(f.name+"/"+s.title, func(t *testing.T) {
				t.Parallel()
				c := newScene(t, s, perSecond(50))
				c.setup, c.took = f.setup, never
				c.setup.AckWait = span(5*time.Second, 2*time.Second)
				f.play(t, c)
				h := c.treatment(t)
				r := result{account: h, row: f.name, goal: f.goal, side: s}
				if s.ours() {
					r.missed = f.missed(c, h)
				}
				eventTable.enter(t, row, r)
			})
		}
	}
}

// treatment is what became of the odd events, which do something to their handlers,
// and of the others, which the figures are of.
type treatment struct {
	figures

	rerun   int           // times that the handler of another was begun again
	begins  int           // the most that the handler of an odd one was begun
	crashes int           // of the service
	letters int           // dead letters
	inexact int           // of them, without the exact bytes of what is in the log; and payloads that are in none
	took    time.Duration // until it was over
	told    string        // what the service's status told
}

// treatment makes up the account.
func (c *scene) treatment(t *testing.T) treatment {
	t.Helper()
	h := treatment{figures: c.end(t), crashes: c.crashes, took: c.took, told: c.told}
	h.rerun, h.begins = c.ledger.reruns()
	letters := c.letters(t)
	h.letters, h.inexact = len(letters), c.inexact(letters, c.log(t, subject))
	return h
}

// inexact counts the dead letters that are not, to the byte, what the log holds at
// their sequence, and the payloads that are in none.
func (c *scene) inexact(letters []events.DeadLetter, log []logged) (n int) {
	at := make(map[uint64][]byte)
	for _, m := range log {
		at[m.sequence] = m.data
	}
	found := make(map[string]bool)
	for _, letter := range letters {
		if data, ok := at[letter.Sequence]; !ok || !bytes.Equal(data, letter.Data) {
			n++
		}
		found[string(letter.Data)] = true
	}
	for _, payload := range c.junk {
		if !found[string(payload)] {
			n++
		}
	}
	return n
}

// missed are the goals that a service of ours did not reach.
func (f trial) missed(c *scene, h treatment) []string {
	missed := append(h.figures.missed(), some([]tally{{max(h.crashes-f.crashes, 0), "crashes too many"}, {h.inexact, "payloads not in a dead letter, to the byte"}})...)
	if f.told != "" && h.told != f.told {
		missed = append(missed, fmt.Sprintf("its status told %q", h.told))
	}
	if !f.again && !f.begunAgain(c.side) {
		missed = append(missed, some([]tally{{h.rerun, "others begun again"}, {h.figures.again, "handled again"}})...)
	}
	if f.begins != nil && h.begins > f.begins(c.side) {
		missed = append(missed, fmt.Sprintf("a handler begun %d times for one event, not %d", h.begins, f.begins(c.side)))
	}
	if h.letters != f.letters {
		missed = append(missed, fmt.Sprintf("%d dead letters, not %d", h.letters, f.letters))
	}
	if f.gap > 0 {
		missed = append(missed, within(h.gap, f.gap, "longest gap")...)
	}
	if f.late > 0 {
		missed = append(missed, within(h.late, f.late, "the latest of the others")...)
	}
	return append(missed, within(h.took, f.took, "over")...)
}

// begunAgain reports whether others may be handled again on a machine that stalls for an ack
// wait: the server then sends an event to the other member, unless the listener extends its
// ack wait. Scaled down that is 2 s, which pass on a busy machine.
func (f trial) begunAgain(s side) bool { return f.shared && !*full && s.name != jetStream.name }

// String is a cell: what went wrong, what became of the events, and of the others.
func (h treatment) String() string {
	parts := append(h.wrong(), some([]tally{{h.rerun, "others begun again"}, {h.crashes, "crashes"}})...)
	if h.letters > 0 {
		parts = append(parts, fmt.Sprintf("dead letters: %d", h.letters))
	}
	parts = append(parts, some([]tally{{h.inexact, "in no dead letter"}})...)
	if h.begins > 0 {
		parts = append(parts, fmt.Sprintf("most begins of one: %d", h.begins))
	}
	if h.told != "" {
		parts = append(parts, h.told)
	}
	return strings.Join(append(parts, "over after "+seconds(h.took), "longest gap "+seconds(h.gap), "latest other "+seconds(h.late)), ", ")
}

func (h treatment) cells() []string {
	cells := counts(h.published, h.refused, h.unknown, h.lost, h.stuck, h.rerun, h.begins, h.crashes, h.letters, h.inexact)
	return append(cells, seconds(h.gap), seconds(h.late), seconds(h.took))
}
