package schedule

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sgtickets/common/internal/seeds"
)

// sim is a simulated server and the listeners of one subject, which all use the
// real Scheduler. Whatever could happen next is drawn, so that a seed is a story that
// can be told again: how long each thing takes, what handlers do, what goes wrong.
type sim struct {
	*rand.Rand
	trap  trap
	tell  func(string, ...any)
	now   time.Time
	todo  agenda
	count int // of what was planned

	rules   Rules
	ackWait time.Duration
	manual  bool
	single  bool // one member from beginning to end: order has to be perfect
	calm    bool // nothing goes wrong any more
	server  *simServer
	members []*simMember
	joined  int

	marks    *simMarks
	maxEnded int
	restarts int // of the server
	faults   int // processes that were killed
}

// trap is a mistake that is known to lose, double or disorder events.
type trap int

const (
	noTrap trap = iota
	ackBeforeStored
	identityBySequence
	retryLetsOvertake
	forgetOnReconnect
	dropWithoutRelease
	countDeliveries
	countWaits
	countLiving
	neverTakeBack
	neverGiveUp
	severalSuspects
	lastTrap
)

func (t trap) String() string {
	return [...]string{
		"none", "ack before the dead letter is stored", "identity by sequence alone", "a retry lets its key overtake",
		"forget on reconnect", "drop without release", "count the server's deliveries as attempts",
		"count waits as attempts", "count living processes as ended", "never take a mark back",
		"never give up what ends processes", "run several suspects at a time",
	}[t]
}

func (s *sim) brokenf(format string, args ...any) {
	seeds.Violatef("at %v: %s", s.now.Sub(start), fmt.Sprintf(format, args...))
}

func (s *sim) sayf(format string, args ...any) {
	if s.tell != nil {
		s.tell("%9v  %s", s.now.Sub(start), fmt.Sprintf(format, args...))
	}
}

// between draws a time.
func (s *sim) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.Int64N(int64(most-least)+1))
}

// maybe draws whether something happens, in so many of a hundred cases.
func (s *sim) maybe(percent int) bool { return s.IntN(100) < percent }

// planned is something that happens at a moment.
type planned struct {
	at time.Time
	n  int // the order among those at the same moment
	do func()
}

type agenda struct{ all []planned }

func (a *agenda) Len() int { return len(a.all) }

func (a *agenda) Less(i, j int) bool {
	if a.all[i].at.Equal(a.all[j].at) {
		return a.all[i].n < a.all[j].n
	}
	return a.all[i].at.Before(a.all[j].at)
}

func (a *agenda) Swap(i, j int) { a.all[i], a.all[j] = a.all[j], a.all[i] }

func (a *agenda) Push(x any) {
	p, _ := x.(planned)
	a.all = append(a.all, p)
}

func (a *agenda) Pop() any {
	last := a.all[len(a.all)-1]
	a.all = a.all[:len(a.all)-1]
	return last
}

func (s *sim) after(d time.Duration, do func()) {
	s.count++
	heap.Push(&s.todo, planned{s.now.Add(d), s.count, do})
}

// soon is after what a goroutine or a message may take.
func (s *sim) soon(do func()) { s.after(s.between(0, 5*time.Millisecond), do) }

func (s *sim) runUntil(end time.Time) {
	for s.todo.Len() > 0 && !s.todo.all[0].at.After(end) {
		next, _ := heap.Pop(&s.todo).(planned)
		s.now = next.at
		next.do()
		for _, m := range s.members {
			m.check()
		}
	}
	s.now = end
}

const simAckWait = 2 * time.Second

func newSim(seed uint64, t trap, tell func(string, ...any)) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), trap: t, tell: tell, now: start, ackWait: simAckWait}
	jetStream := s.maybe(50)
	s.rules = Rules{
		Concurrency: 1 + s.IntN(4), MaxAttempts: 2 + s.IntN(8), DeadLetters: true,
		CanExtend: jetStream, CanNak: jetStream, NoGroup: s.maybe(30), SuspectAfter: 1 + s.IntN(3), SuspectsTurn: s.between(time.Second, 8*time.Second), AnyOf: s.IntN,
		Backoff: func(attempt int) time.Duration {
			return s.between(50*time.Millisecond, 100*time.Millisecond<<min(attempt, 6))
		},
	}
	s.rules.GapBackoff = func(_ int64, waited int) time.Duration { return s.rules.Backoff(waited) }
	s.rules.VersionGapTimeout = s.between(time.Second, 5*time.Second)
	s.rules.DeadLetterBackoff = func(int) time.Duration { return s.between(time.Second, 4*time.Second) }
	s.rules.MaxInFlight = s.rules.Concurrency * (1 + s.IntN(8))
	if s.maybe(50) {
		s.rules.HandlerTimeout = s.between(100*time.Millisecond, simAckWait-time.Millisecond)
	}
	s.maxEnded, s.marks = 1+s.IntN(3), &simMarks{sim: s}
	s.manual = s.maybe(30)
	s.single = s.rules.NoGroup || s.maybe(30)
	s.server = &simServer{sim: s, pending: make(map[*simEvent]*simPending)}
	s.sayf("jetstream %v, alone %v, single %v, manual %v, rules %+v", jetStream, s.rules.NoGroup, s.single, s.manual, s.rules)
	return s
}

// run lets things go wrong for a while, and then everything come to its end.
func (s *sim) run() {
	s.join()
	if !s.single {
		s.join()
	}
	for range 20 + s.IntN(20) {
		s.after(s.between(0, 20*time.Second), s.server.publish)
	}
	for range s.IntN(8) {
		s.after(s.between(0, 25*time.Second), s.fault)
	}
	s.runUntil(start.Add(30 * time.Second))
	s.calm = true
	s.sayf("calm")
	if !slices.ContainsFunc(s.members, func(m *simMember) bool { return !m.leaving }) {
		s.join()
	}
	s.runUntil(start.Add(15 * time.Minute))
	s.server.checkEnd()
	for _, m := range s.members {
		m.checkEnd()
	}
}

// fault lets one thing go wrong.
func (s *sim) fault() {
	switch n := s.IntN(10); {
	case n < 3 && len(s.members) > 0:
		s.members[s.IntN(len(s.members))].reconnect()
	case n < 4 && !s.single && len(s.members) < 4:
		s.join()
	case n < 5 && len(s.members) > 0: // a process that is killed and started again remembers nothing
		s.faults++
		s.members[s.IntN(len(s.members))].leave(true)
		s.after(s.between(0, 2*s.ackWait), s.join)
	case n < 6 && !s.single && len(s.members) > 1:
		s.faults++
		s.members[s.IntN(len(s.members))].leave(s.maybe(50))
	case n < 8 && !s.rules.CanNak:
		s.server.restart()
	default:
		s.server.empty()
	}
}

// simulate runs one seed, and returns what did not hold.
func simulate(seed uint64, t trap, tell seeds.Tell) (broken string) {
	return seeds.Play(func() { newSim(seed, t, tell).run() })
}

// TestSimulation runs many seeds: SEEDS of them, or SEED alone, and tells its story.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 1000, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noTrap, tell) })
}

// TestSeedsReplay: a seed is a story that can be told again.
func TestSeedsReplay(t *testing.T) {
	t.Parallel()
	seeds.Replay(t, 100, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noTrap, tell) })
}

// TestTheSimulationHasTeeth: each mistake is found, and soon.
func TestTheSimulationHasTeeth(t *testing.T) {
	t.Parallel()
	for mistake := noTrap + 1; mistake < lastTrap; mistake++ {
		t.Run(mistake.String(), func(t *testing.T) {
			t.Parallel()
			seeds.Find(t, 1000, func(seed uint64) string { return simulate(seed, mistake, nil) })
		})
	}
}
