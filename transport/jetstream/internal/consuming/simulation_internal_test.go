package consuming

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sgtickets/common/internal/seeds"
)

// The simulation drives the real machines of the members of a consumer against a
// simulated server, network and listener. There are no goroutines, and the clock is
// virtual: whatever happens is an event with a time, and latencies and faults are drawn
// from the seed. So it comes to orders of events that no test with a real server does,
// and to each of them again with SEED=n.
//
// First there is trouble (servers shut down, links cut or silently dead, answers lost, the consumer deleted
// or changed, the stream purged, deleted or restored from an older copy, leaders changed,
// members that come, leave and die), and then it ends, and within a bounded time all
// must be well. What must hold all the time is checked where it happens; look for mustf.

// sim is one run.
type sim struct {
	rand    *rand.Rand
	now     time.Time
	events  simQueue
	server  *simServer
	mistake mistake
	log     func(format string, args ...any)

	shared      bool // a group; else one member that has the consumer alone
	bindOnly    bool // the members may not create the consumer: somebody else does after a while
	maxInFlight int
	ackWait     time.Duration

	trouble bool
	silent  bool // JetStream's API does not answer
	members []*simMember
	numbers int
	told    uint64 // how many messages members told to be removed
	handled map[simIdentity]bool
	excused map[simIdentity]bool // lost by what no member can prevent
}

// simIdentity tells stored messages apart.
type simIdentity struct {
	origin   int
	sequence uint64
}

// mistake is one that is made on purpose: the simulation must find it.
type mistake int

const (
	noMistake           mistake = iota
	ackAcrossStreams            // acknowledgements of a stream that is gone are sent
	keepReleased                // a message that was released keeps its room
	keepUnsent                  // a message whose acknowledgement could not be sent keeps its room
	resumeAboveTop              // a consumer resumes above all that was delivered here, whatever may have gone elsewhere
	resumeAtNew                 // a consumer that was deleted begins with what is new
	forgetRequests              // what was asked for is not counted
	countEarlierRounds          // what the server says of an earlier round's request counts for this round
	dropWhatArrives             // what arrives after Stop is dropped, not given back
	neverWake                   // nobody wakes the machine
	keepWhatIsHeld              // Close gives nothing back
	waitForLostQuestion         // the open question is waited for after a reconnect
	neverAnswerAgain            // what went down with the link is not sent again
)

func (m mistake) String() string {
	return [...]string{
		"none", "acknowledging across streams", "keeping room for what was released", "keeping room for what could not be acknowledged",
		"resuming above all that was delivered", "resuming at what is new", "not counting requests", "counting earlier rounds",
		"dropping what arrives after Stop", "never waking the machine", "keeping what is held",
		"waiting for a question that was lost with its link", "not sending again what went down with the link",
	}[m]
}

// mustf is called where something holds, or not.
func (s *sim) mustf(holds bool, format string, args ...any) {
	if !holds {
		seeds.Violatef(format, args...)
	}
}

func (s *sim) notef(format string, args ...any) {
	if s.log != nil {
		s.log("%9.3f s: "+format, append([]any{s.now.Sub(simBegin).Seconds()}, args...)...)
	}
}

var simBegin = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func (s *sim) chance(percent int) bool { return s.rand.IntN(100) < percent }

// upTo draws a duration.
func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.rand.Int64N(int64(d))) }

// latency draws how long something takes: mostly little.
func (s *sim) latency() time.Duration {
	switch s.rand.IntN(10) {
	case 0:
		return s.upTo(400 * time.Millisecond)
	case 1, 2:
		return s.upTo(20 * time.Millisecond)
	default:
		return s.upTo(time.Millisecond)
	}
}

// newSim sets up a stream, a consumer and members.
func newSim(seed uint64, mistake mistake) *sim {
	s := &sim{
		rand: rand.New(rand.NewPCG(seed, 0)), now: simBegin, mistake: mistake, trouble: true,
		handled: make(map[simIdentity]bool), excused: make(map[simIdentity]bool),
	}
	s.server = &simServer{now: s.now, interest: s.interest, send: s.toInbox}
	s.shared, s.bindOnly = s.chance(60), s.chance(15)
	s.maxInFlight = 1 + s.rand.IntN(8)
	s.ackWait = time.Duration(2+s.rand.IntN(10)) * time.Second
	s.server.createStream()
	s.createConsumer(0)
	for range 1 + s.rand.IntN(3) {
		s.join()
	}
	return s
}

func (s *sim) createConsumer(from uint64) {
	maxPending := 0
	if s.shared && s.chance(20) {
		maxPending = 1 + s.rand.IntN(2*s.maxInFlight)
	}
	s.server.createConsumer(from, s.ackWait, maxPending)
}

// run is a whole run. It panics with a violation.
func (s *sim) run() {
	for end := s.now.Add(s.upTo(90 * time.Second)); s.now.Before(end); {
		s.pass(s.upTo(800 * time.Millisecond))
		switch {
		case s.chance(30):
			s.fault()
		case s.chance(80):
			s.publish(1 + s.rand.IntN(6))
		}
	}
	s.endTrouble()
	for range 20 {
		s.pass(10 * time.Second)
		if s.problem() == "" {
			break
		}
	}
	s.mustf(s.problem() == "", "after the trouble %s", s.problem())
	s.close()
}

// pass lets happen what happens in that time.
func (s *sim) pass(d time.Duration) {
	const bound = 20_000
	until := s.now.Add(d)
	for n := 0; ; n++ {
		s.mustf(n < bound, "it must not go on and on without time passing")
		due := s.server.due()
		e := s.events.first()
		switch {
		case !due.IsZero() && !due.After(until) && (e == nil || !due.After(e.at)):
			s.at(due)
			s.server.tick()
		case e != nil && !e.at.After(until):
			s.at(e.at)
			s.events.pop()
			e.do()
		default:
			s.at(until)
			return
		}
	}
}

func (s *sim) at(now time.Time) {
	if now.After(s.now) {
		s.now = now
	}
	s.server.now = s.now
}

func (s *sim) after(d time.Duration, do func()) { s.events.push(s.now.Add(d), do) }

func (s *sim) publish(n int) {
	for range n {
		if stream := s.server.stream; stream != nil {
			s.server.publish()
			if stream.last <= stream.before { // a sequence that a message had that was lost: nobody can tell the two apart
				s.excused[simIdentity{stream.origin(stream.last), stream.last}] = true
			}
		}
	}
}

// problem says what is not as it must be in the end.
func (s *sim) problem() string {
	stream := s.server.stream
	if stream == nil || stream.consumer == nil {
		return "there is no stream or no consumer"
	}
	for sequence := max(stream.first, stream.skipped); sequence <= stream.last; sequence++ {
		if id := (simIdentity{stream.origin(sequence), sequence}); !s.handled[id] && !s.excused[id] {
			return fmt.Sprintf("message %d of stream %d was not handled", sequence, stream.number)
		}
	}
	if n := len(stream.consumer.pending); n > 0 {
		return fmt.Sprintf("%d messages are not acknowledged", n)
	}
	for _, m := range s.alive() {
		switch {
		case m.link == nil:
			return m.name + " has no link"
		case len(m.degraded) > 0:
			return fmt.Sprintf("%s is degraded: %q", m.name, slices.Sorted(maps.Keys(m.degraded)))
		case len(m.held) > 0:
			return fmt.Sprintf("%s holds %d messages", m.name, len(m.held))
		case !slices.ContainsFunc(stream.consumer.waiting, func(r *simRequest) bool { return r.inbox == m.inbox }):
			return m.name + " asks for nothing"
		}
	}
	return ""
}

// close closes all members, some of which hold messages. All must be given back.
func (s *sim) close() {
	s.publish(s.rand.IntN(4 * s.maxInFlight))
	s.pass(s.latency())
	var left []*simMember
	for _, m := range s.alive() {
		m.leave()
		left = append(left, m)
	}
	s.pass(10 * time.Second)
	for _, m := range left {
		s.mustf(m.closed, "%s must be closed", m.name)
		s.mustf(m.machine.Due().IsZero(), "%s must need no timer", m.name)
	}
	c := s.server.consumer()
	for sequence, p := range c.pending {
		s.mustf(p.due.IsZero() || s.handled[simIdentity{s.server.stream.origin(sequence), sequence}], "message %d must be given back", sequence)
	}
}

// simulate runs one seed, and returns what did not hold.
func simulate(seed uint64, mistake mistake, tell seeds.Tell) (broken string) {
	s := newSim(seed, mistake)
	s.log = tell
	return seeds.Play(s.run)
}

// TestSimulation runs many seeds: SEEDS of them, or SEED alone, and tells its story.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 500, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noMistake, tell) })
}

// TestSeedsReplay: a seed is a story that can be told again.
func TestSeedsReplay(t *testing.T) {
	t.Parallel()
	seeds.Replay(t, 50, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noMistake, tell) })
}

// TestTheSimulationHasTeeth: each mistake that is known to lose or double messages, or to
// block the consumer, is found, and soon.
func TestTheSimulationHasTeeth(t *testing.T) {
	t.Parallel()
	for mistake := ackAcrossStreams; mistake <= neverAnswerAgain; mistake++ {
		t.Run(mistake.String(), func(t *testing.T) {
			t.Parallel()
			seeds.Find(t, 2000, func(seed uint64) string { return simulate(seed, mistake, nil) })
		})
	}
}

// simEvent is something that happens at a time.
type simEvent struct {
	at     time.Time
	number int // of those at the same time, the earlier come first
	do     func()
}

// simQueue is a heap of events.
type simQueue struct {
	events []*simEvent
	number int
}

func (q *simQueue) before(i, j int) bool {
	a, b := q.events[i], q.events[j]
	return a.at.Before(b.at) || a.at.Equal(b.at) && a.number < b.number
}

func (q *simQueue) push(at time.Time, do func()) {
	q.number++
	q.events = append(q.events, &simEvent{at, q.number, do})
	for i := len(q.events) - 1; i > 0 && q.before(i, (i-1)/2); i = (i - 1) / 2 {
		q.events[i], q.events[(i-1)/2] = q.events[(i-1)/2], q.events[i]
	}
}

// first returns the next event, nil if there is none.
func (q *simQueue) first() *simEvent {
	if len(q.events) == 0 {
		return nil
	}
	return q.events[0]
}

func (q *simQueue) pop() {
	last := len(q.events) - 1
	q.events[0] = q.events[last]
	q.events[last] = nil
	q.events = q.events[:last]
	for i := 0; ; {
		next := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && q.before(child, next) {
				next = child
			}
		}
		if next == i {
			return
		}
		q.events[i], q.events[next] = q.events[next], q.events[i]
		i = next
	}
}
