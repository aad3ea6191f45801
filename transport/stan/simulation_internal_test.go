package stan

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sgtickets/common/internal/seeds"
	"github.com/sgtickets/common/transport"
)

// The simulation drives the real supervisor, outbox and subscriptions of two clients
// against a simulated server and network. There are no goroutines and no clock:
// whatever could happen next stands in a lane, and which lane goes on is drawn from
// the seed. So it comes to orders of events that no test with a real server does, and
// to each of them again with SEED=n.
//
// First there is trouble (links cut or silently dead, servers killed, emptied,
// restored from a backup or frozen, clients frozen, closed or replaced), and then it ends, and within a bounded
// number of steps all must be well. What must hold all the time is checked where it
// happens; look for mustf.
// lane is a row of steps that happen in this order: a goroutine, what travels on one
// NATS subject over one link, or a timer. The order between lanes is drawn.
type lane struct {
	sim    *sim
	todo   []func()
	halted func() bool // nil: never
	timer  bool        // goes off at any time while there is trouble; later when nothing else goes on
	from   string      // the client whose messages to the server these are
	over   bool
	listed bool
}

// add puts steps at the end.
func (l *lane) add(steps ...func()) {
	l.todo = append(l.todo, steps...)
	if !l.listed && !l.over {
		l.listed = true
		l.sim.lanes = append(l.sim.lanes, l)
	}
}

// next puts steps before all others.
func (l *lane) next(steps ...func()) {
	rest := l.todo
	l.todo = nil
	l.add(append(slices.Clone(steps), rest...)...)
}

func (l *lane) ready() bool { return len(l.todo) > 0 && (l.halted == nil || !l.halted()) }

// lose keeps some of the first steps: the others were under way when a link was cut.
func (l *lane) lose() { l.todo = l.todo[:l.sim.rand.IntN(len(l.todo)+1)] }

// sim is one run.
type sim struct {
	rand      *rand.Rand
	server    *simServer
	backup    *simServer // nil: there is none
	excused   []string   // inboxes of subscriptions that came back with a backup, unknown to their clients
	running   bool       // the server is
	frozen    bool
	inside    *lane // what the server has yet to do
	trouble   bool
	trap      trap
	lanes     []*lane
	clients   []*simClient
	wants     []*simWant
	sessions  map[string]*simSession // by connection ID
	linked    []*simSession          // those that may have a link, in order
	inners    map[string]*simInner   // by inbox
	rival     map[string]bool        // client IDs that another process has taken
	publishes map[string]*simPublish
	numbers   int
	log       func(format string, args ...any)
}

// trap is a mistake that is made on purpose: the simulation must find it.
type trap int

const (
	noTrap           trap = iota
	resendOnSilence       // a publish that nobody answers is sent again
	resendTwice           // a layer below sends again, too
	neverReopen           // subscriptions are left as they are when the link is back
	closeUnasked          // the close request is sent without asking first
	resumeBySequence      // a subscription without a durable does not look at timestamps
	handleBySequence      // a listener tells events apart by sequence alone
	neverResendAcks       // acknowledgements that went down with the link are not sent again
	keepForgotten         // a session is kept although the server does not know its subscriptions
)

func (t trap) String() string {
	return [...]string{
		"none", "resending on silence", "resending from two places", "not reopening after a reconnect",
		"closing a replaced client", "resuming by sequence alone", "handling by sequence alone", "not sending acknowledgements again",
		"keeping a session of which the server knows no subscriptions",
	}[t]
}

// mustf is called where something holds, or not.
func (s *sim) mustf(holds bool, format string, args ...any) {
	if !holds {
		seeds.Violatef(format, args...)
	}
}

func (s *sim) notef(format string, args ...any) {
	if s.log != nil {
		s.log(format, args...)
	}
}

func (s *sim) chance(percent int) bool { return s.rand.IntN(100) < percent }

func (s *sim) number() int {
	s.numbers++
	return s.numbers
}

func (s *sim) newLane() *lane { return &lane{sim: s} }

func (s *sim) timer(f func()) *lane {
	l := &lane{sim: s, timer: true}
	l.add(f)
	return l
}

// step lets one thing happen, and reports whether anything could.
func (s *sim) step() bool {
	s.lanes = slices.DeleteFunc(s.lanes, func(l *lane) bool {
		l.listed = len(l.todo) > 0 && !l.over
		return !l.listed
	})
	early := s.trouble && s.chance(3)
	l := s.draw(early)
	if l == nil {
		l = s.draw(!early)
	}
	if l == nil {
		return false
	}
	f := l.todo[0]
	l.todo = l.todo[1:]
	f()
	return true
}

// draw returns a lane that may go on, nil if there is none.
func (s *sim) draw(timer bool) *lane {
	var drawn *lane
	n := 0
	for _, l := range s.lanes {
		if l.timer == timer && l.ready() {
			n++
			if s.rand.IntN(n) == 0 {
				drawn = l
			}
		}
	}
	return drawn
}

// simWant is what somebody listens to: a group, or one client. All that is stored
// must be handled by it.
type simWant struct {
	name           string
	durable, group string
	clients        []int
	handled        map[identity]bool // without a durable: by the one who listens now
}

// identity tells stored events apart, as the listener does.
type identity struct {
	sequence uint64
	stored   int64
}

// simPublish is what is known of a publish.
type simPublish struct {
	client  *simClient
	ticket  transport.Ticket
	sent    []uint64 // the epochs in which it left
	copies  int      // in the store, and in those that were lost
	left    bool     // the publisher waits no longer
	settled bool
	outcome error
}

// newSim sets up two clients: both are members of a durable group, and each has a
// subscription of its own, one with a durable and one without.
func newSim(seed uint64, trap trap) *sim {
	s := &sim{
		rand: rand.New(rand.NewPCG(seed, 0)), running: true, trouble: true, trap: trap,
		clients: make([]*simClient, 2), sessions: make(map[string]*simSession), inners: make(map[string]*simInner),
		rival: make(map[string]bool), publishes: make(map[string]*simPublish),
		wants: []*simWant{
			{name: "the group", durable: "d", group: "g", clients: []int{0, 1}},
			{name: "the durable", durable: "d", clients: []int{0}},
			{name: "the one without a durable", clients: []int{1}},
		},
	}
	for _, want := range s.wants {
		want.handled = make(map[identity]bool)
	}
	s.server = newSimServer(func(sub *simSub, d simDelivery) {
		if in := s.inners[sub.inbox]; in != nil {
			in.deliver(d)
		}
	})
	s.inside = s.newLane()
	s.inside.halted = func() bool { return s.frozen || !s.running }
	for i := range s.clients {
		s.start(i)
	}
	return s
}

func (s *sim) wantOf(cfg transport.SubscribeConfig) *simWant {
	return s.wants[slices.IndexFunc(s.wants, func(w *simWant) bool { return w.durable == cfg.Durable && w.group == cfg.Group })]
}

// publish publishes one event.
func (s *sim) publish(c *simClient) {
	id := fmt.Sprintf("p%d", s.number())
	p := &simPublish{client: c}
	s.publishes[id] = p
	p.ticket = c.conn.Publish(transport.Message{Subject: "c", Data: []byte(id)}, transport.ReceiptFunc(func(err error) {
		s.notef("%s is settled: %v", id, err)
		s.mustf(!p.settled, "%s must be settled once", id)
		p.settled, p.outcome = true, err
		switch {
		case err == nil:
			s.mustf(p.copies > 0, "%s is settled, and must be stored", id)
		case errors.Is(err, transport.ErrNotStored):
			s.mustf(p.copies == 0, "%s is settled as not stored, and must not be stored", id)
			s.mustf(p.left || c.closing, "%s must not be given up", id)
		default:
			s.mustf(p.left || c.closing || len(p.sent) > 1, "of %s more must be known than %v", id, err)
		}
	}))
}

// run is a whole run. It panics with a violation.
func (s *sim) run() {
	for range 100 + s.rand.IntN(400) {
		switch {
		case s.chance(4):
			s.fault()
		case s.chance(10):
			s.act()
		default:
			s.step()
		}
	}
	s.notef("the trouble ends")
	s.trouble = false
	for range 5 {
		for _, c := range s.clients {
			s.mend(c)
		}
	}
	for _, inbox := range s.excused {
		_ = s.server.closeSub(inbox)
	}
	for _, w := range s.linked {
		if w.link != nil && w.link.dead {
			w.cut()
		}
	}
	s.rest()
	s.pings()
	s.rest()
	s.settle()
}

// settle lets happen what happens by itself, until all is well.
func (s *sim) settle() {
	for range 5 {
		s.rest()
		s.pings()
		s.rest()
		for _, sub := range s.server.subs {
			for _, seq := range sub.pending {
				in := s.inners[sub.inbox]
				s.mustf(sub.client == "" || in != nil && in.handed[seq], "event %d must not wait out its ack wait with %q, %s, who never had it", seq, sub.client, sub.inbox)
			}
		}
		s.server.expireAll()
		s.rest()
		if s.problem() == "" {
			return
		}
	}
	s.mustf(false, "after the trouble %s", s.problem())
}

// rest lets happen all that can.
func (s *sim) rest() {
	const bound = 20_000
	n := 0
	for s.step() {
		n++
		if n%50 == 0 {
			s.pings()
		}
		s.mustf(n < bound, "it must come to rest")
	}
}

// problem says what is not as it must be in the end.
func (s *sim) problem() string {
	for _, c := range s.clients {
		if c.conn.supervisor.phase != phaseUp {
			return fmt.Sprintf("%s is %v", c.id, c.conn.supervisor.phase)
		}
		for _, l := range c.listeners {
			if state := l.sub.state.phase; state != subscriptionOpen {
				return fmt.Sprintf("%s does not receive for %s: state %d", c.id, l.want.name, state)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.publishes)) {
		if !s.publishes[id].settled {
			return fmt.Sprintf("%s is not settled", id)
		}
	}
	open := make(map[string]bool)
	for _, c := range s.clients {
		for _, l := range c.listeners {
			open[innerOf(l.sub.state.inner).inbox] = true
		}
	}
	for _, sub := range s.server.subs {
		if sub.client != "" && !open[sub.inbox] {
			return fmt.Sprintf("the server has %s, a ghost of %s", sub.inbox, sub.client)
		}
		delete(open, sub.inbox)
	}
	if len(open) > 0 {
		return fmt.Sprintf("the server lacks %d subscriptions", len(open))
	}
	for i, e := range s.server.log {
		for _, want := range s.wants {
			if !want.handled[identity{uint64(i + 1), e.stored}] {
				return fmt.Sprintf("event %d, %s, was not handled by %s", i+1, e.data, want.name)
			}
		}
	}
	return ""
}

// simulate runs one seed, and returns what did not hold.
func simulate(seed uint64, trap trap, tell seeds.Tell) (broken string) {
	s := newSim(seed, trap)
	s.log = tell
	return seeds.Play(s.run)
}

// TestSimulation runs many seeds: SEEDS of them, or SEED alone, and tells its story.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 2000, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noTrap, tell) })
}

// TestSeedsReplay: a seed is a story that can be told again.
func TestSeedsReplay(t *testing.T) {
	t.Parallel()
	seeds.Replay(t, 100, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noTrap, tell) })
}

// TestTheSimulationHasTeeth: each mistake that is known to lose or double events is
// found, and soon.
func TestTheSimulationHasTeeth(t *testing.T) {
	t.Parallel()
	for mistake := resendOnSilence; mistake <= keepForgotten; mistake++ {
		t.Run(mistake.String(), func(t *testing.T) {
			t.Parallel()
			seeds.Find(t, 2000, func(seed uint64) string { return simulate(seed, mistake, nil) })
		})
	}
}
