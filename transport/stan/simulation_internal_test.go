package stan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// The simulation drives the real machine, outbox and subscriptions of two clients
// against a simulated server and network. There are no goroutines and no clock:
// whatever could happen next stands in a lane, and which lane goes on is drawn from
// the seed. So it comes to orders of events that no test with a real server does, and
// to each of them again with SEED=n.
//
// First there is trouble (links cut or silently dead, servers killed, emptied or
// frozen, clients frozen, closed or replaced), and then it ends, and within a bounded
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
	running   bool // the server is
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
)

func (t trap) String() string {
	return [...]string{
		"none", "resending on silence", "resending from two places", "not reopening after a reconnect",
		"closing a replaced client", "resuming by sequence alone", "handling by sequence alone",
	}[t]
}

// violation is the panic that ends a run.
type violation string

// mustf is called where something holds, or not.
func (s *sim) mustf(holds bool, format string, args ...any) {
	if !holds {
		panic(violation(fmt.Sprintf(format, args...)))
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
	handled        map[identity]bool
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
	left    bool     // whoever published waits no longer
	settled bool
	outcome error
}

// simClient is a process with a connection.
type simClient struct {
	sim       *sim
	id        string
	index     int
	conn      *conn // the real one, but that lanes are its goroutines
	away      bool  // there is no way to the server
	frozen    bool
	closing   bool
	parting   bool // it has asked whether it is the registered one, and is about to say goodbye
	writer    *lane
	idle      bool // the writer
	listeners []*simListener
}

// lane is one of the client's goroutines.
func (c *simClient) lane() *lane {
	l := c.sim.newLane()
	l.halted = func() bool { return c.frozen }
	return l
}

// later is one of its timers.
func (c *simClient) later(f func(*lane)) {
	l := c.lane()
	l.timer = true
	l.add(func() {
		if c.conn.machine.phase != phaseOver {
			t := c.lane()
			t.add(func() { f(t) })
		}
	})
}

// background is conn.background.
func (c *simClient) background(f func(*lane)) {
	if c.conn.machine.phase != phaseOver {
		t := c.lane()
		t.add(func() { f(t) })
	}
}

func (c *simClient) reachable() bool { return !c.away && !c.frozen && c.sim.running && !c.sim.frozen }

// start is connect, tried until it succeeds.
func (s *sim) start(index int) {
	c := &simClient{sim: s, id: fmt.Sprintf("client-%d", index), index: index}
	c.conn = newConn(transport.Config{ClientID: c.id, Notify: c.notified}, nil)
	c.conn.maxPayload.Store(1 << 20)
	s.clients[index] = c
	t := c.lane()
	t.add(func() { c.connect(t) })
}

func (c *simClient) connect(t *lane) {
	c.dial(t, 1, func(w *simSession, err error) {
		if err != nil {
			c.later(c.connect)
			return
		}
		c.writer = c.lane()
		c.writer.halted = func() bool { return c.frozen || c.idle && len(c.conn.writer) == 0 }
		c.write()
		for _, want := range c.sim.wants {
			if slices.Contains(want.clients, c.index) {
				t.add(func() { c.subscribe(t, want) })
			}
		}
		t.next(func() { c.checkLink(t, 1, w) })
		c.step(t, func(m *machine) { m.begin(w) })
	})
}

func (c *simClient) notified(e transport.Event) {
	c.sim.notef("%s is told %v %s %v", c.id, e.Kind, e.Reason, e.Err)
	c.sim.mustf(e.Kind != transport.AsyncError, "%s was told of a gap where there was none: %v", c.id, e.Err)
}

// step is conn.step; what the machine decides is what t does next, before anything
// that was put there before.
func (c *simClient) step(t *lane, happened func(*machine)) {
	m := &c.conn.machine
	was, epoch := m.phase, m.epoch
	happened(m)
	effects := m.take()
	c.conn.epoch.Store(m.epoch)
	if m.phase != was || m.epoch != epoch {
		c.sim.notef("%s is %v, epoch %d, session %d", c.id, m.phase, m.epoch, m.session)
	}
	steps := make([]func(), len(effects))
	for i, e := range ordered(effects) {
		c.sim.mustf(was != phaseOver || e.do == dropWire, "after the end there must be no effect but dropping what came late: %v", e.do)
		steps[i] = func() { c.perform(e) }
	}
	t.next(steps...)
}

// ordered puts effects on members, which come in the order of a map, in one that
// depends on the seed alone.
func ordered(effects []effect) []effect {
	for i := 0; i < len(effects); {
		j := i + 1
		for effects[i].member != nil && j < len(effects) && effects[j].member != nil && effects[j].do == effects[i].do {
			j++
		}
		slices.SortFunc(effects[i:j], func(a, b effect) int { return strings.Compare(nameOf(a), nameOf(b)) })
		i = j
	}
	return effects
}

func nameOf(e effect) string {
	if e.member == nil {
		return ""
	}
	return e.member.sub.config.Durable + "/" + e.member.sub.config.Group
}

// perform is conn.perform.
func (c *simClient) perform(e effect) {
	switch e.do {
	case dialWire:
		c.background(func(t *lane) {
			c.dial(t, e.session, func(w *simSession, err error) {
				if err != nil {
					c.step(t, func(m *machine) { m.dialed(nil, err) })
					return
				}
				t.next(func() { c.checkLink(t, e.session, w) })
				c.step(t, func(m *machine) { m.dialed(w, nil) })
			})
		})
	case pauseDial:
		c.later(func(t *lane) { c.step(t, (*machine).pauseOver) })
	case checkWire:
		check := func(t *lane) {
			wireOf(e.wire).ask(t, func(err error) {
				c.step(t, func(m *machine) { m.checked(e.epoch, err) })
			})
		}
		if e.after > 0 {
			c.later(check)
		} else {
			c.background(check)
		}
	case dropWire:
		wireOf(e.wire).drop() // a moment later, but long before the dial that follows it has a session
	case joinMember:
		c.background(func(t *lane) { c.join(t, e) })
	case pauseJoin:
		c.later(func(t *lane) { c.step(t, func(m *machine) { m.retry(e.member) }) })
	case leaveInner:
		leave := func(t *lane) {
			innerOf(e.inner).close(t, func(err error) {
				c.step(t, func(m *machine) { m.left(e.inner, e.session, err) })
			})
		}
		if e.after > 0 {
			c.later(leave)
		} else {
			c.background(leave)
		}
	case voidMember, tellOwner, wakeWriter:
		c.conn.perform(e) // which does not wait
	case tellMember:
		if l := c.listenerOf(e.member); e.err != nil && l != nil {
			c.later(func(t *lane) { c.subscribe(t, l.want) }) // whoever asked tries again
		}
	case pauseOutbox:
		c.later(func(t *lane) { c.step(t, func(m *machine) { m.answersOver(e.epoch) }) })
	default:
		c.sim.mustf(false, "the simulation does not know effect %d", e.do)
	}
}

func wireOf(w wire) *simSession                 { return w.(*simSession) }
func innerOf(inner stan.Subscription) *simInner { return inner.(*simInner) }

func (c *simClient) listenerOf(m *member) *simListener {
	for _, l := range c.listeners {
		if l.sub.member == m {
			return l
		}
	}
	return nil
}

// dial is conn.dial.
func (c *simClient) dial(t *lane, session uint64, then func(*simSession, error)) {
	s := c.sim
	if !c.reachable() {
		t.next(func() { then(nil, transport.ErrNoServer) })
		return
	}
	w := &simSession{client: c, number: session, connection: fmt.Sprintf("%s.%d", c.id, s.number())}
	w.callbacks, w.answers, w.replies = c.lane(), c.lane(), c.lane()
	s.sessions[w.connection] = w
	s.linked = append(s.linked, w)
	w.link = s.newLink(c)
	w.request(t, w.link.requests, func() error { return s.register(c.id, w.connection) }, stan.ErrConnectReqTimeout, func(err error) {
		if err != nil {
			w.drop()
			switch {
			case errors.Is(err, errSimTaken):
				err = fmt.Errorf("%w: %w", transport.ErrClientIDTaken, err)
			default:
				err = fmt.Errorf("%w: %w", transport.ErrNoCluster, err)
			}
			then(nil, err)
			return
		}
		w.begun = true
		then(w, nil)
	})
}

// register is the server's answer to a request to connect: it asks the old client,
// and that takes so long that what the old one has sent has arrived by then.
func (s *sim) register(client, connection string) error {
	if s.answers(client) {
		return errSimTaken
	}
	for _, l := range s.lanes {
		for l.from == client && !l.over && len(l.todo) > 0 {
			f := l.todo[0]
			l.todo = l.todo[1:]
			f()
		}
	}
	s.server.register(client, connection)
	return nil
}

// answers tells whether who has that client ID answers the server.
func (s *sim) answers(client string) bool {
	connection, ok := s.server.clients[client]
	if !ok {
		return false
	}
	if w, ok := s.sessions[connection]; ok {
		return w.link != nil && !w.link.dead && !w.over && !w.client.frozen
	}
	return s.rival[client]
}

// simLink is a connection to the NATS server.
type simLink struct {
	client                    *simClient
	dead                      bool  // nothing gets through, and nobody knows
	publishes, requests, last *lane // to the server; acknowledgements are among the requests (StanServer.barrier)
	pings                     *lane
}

func (s *sim) newLink(c *simClient) *simLink {
	up := func() *lane {
		l := s.newLane()
		l.from = c.id
		l.halted = func() bool { return s.frozen || !s.running }
		return l
	}
	return &simLink{client: c, publishes: up(), requests: up(), last: up(), pings: up()}
}

func (l *simLink) lanes() []*lane { return []*lane{l.publishes, l.requests, l.last, l.pings} }

// simSession implements wire: what stan.go and nats.go are in one session.
type simSession struct {
	client     *simClient
	number     uint64
	connection string
	link       *simLink // nil while the connection is cut
	shut       bool     // the NATS connection is closed
	begun      bool     // stan.go has its connection
	over       bool     // that is closed
	callbacks  *lane    // of the NATS connection
	answers    *lane    // to publishes
	replies    *lane    // to requests
	awaiting   []*simAwaited
	inners     []*simInner
}

// simAwaited is a publish that the server has not answered.
type simAwaited struct {
	data     string
	answered func(error)
}

func (w *simSession) sim() *sim { return w.client.sim }

// up sends to the server.
func (w *simSession) up(l *lane, f func()) {
	if !w.link.dead {
		l.add(f)
	}
}

// down sends to the client: over the link that there is by then.
func (w *simSession) down(l *lane, f func()) {
	if w.link != nil && !w.link.dead {
		l.add(f)
	}
}

func (w *simSession) connected() bool   { return w.link != nil }
func (w *simSession) maxPayload() int64 { return 1 << 20 }

func (w *simSession) publish(_ string, data []byte, answered func(error)) error {
	switch {
	case w.over:
		return stan.ErrConnectionClosed
	case w.link == nil:
		return nats.ErrReconnectBufExceeded
	case w.link.dead && w.sim().chance(10):
		return errors.New("write: broken pipe")
	}
	a := &simAwaited{string(data), answered}
	w.awaiting = append(w.awaiting, a)
	w.sendPublish(a)
	return nil
}

func (w *simSession) sendPublish(a *simAwaited) {
	w.up(w.link.publishes, func() {
		err := w.sim().store(w, a.data)
		w.down(w.answers, func() { w.answer(a, err) })
	})
}

func (w *simSession) answer(a *simAwaited, err error) {
	if i := slices.Index(w.awaiting, a); i >= 0 {
		w.awaiting = slices.Delete(w.awaiting, i, i+1)
		a.answered(err)
	}
}

// store is the server's part of a publish.
func (s *sim) store(w *simSession, data string) error {
	if err := s.server.publish(w.client.id, w.connection, data); err != nil {
		return err
	}
	s.notef("stored %s as %d", data, len(s.server.log))
	p := s.publishes[data]
	p.copies++
	s.mustf(!errors.Is(p.outcome, transport.ErrNotStored), "%s was settled as not stored, and must not be stored after that", data)
	s.mustf(p.copies <= len(p.sent), "%s is stored %d times, and left %d times", data, p.copies, len(p.sent))
	return nil
}

// request sends a request, and calls then, on t, with what came of it.
func (w *simSession) request(t, l *lane, serve func() error, timeout error, then func(error)) {
	if w.shut {
		then(nats.ErrConnectionClosed)
		return
	}
	if w.link == nil {
		then(nats.ErrReconnectBufExceeded)
		return
	}
	done := false
	var timer *lane
	end := func(err error) {
		if !done {
			done, timer.over = true, true
			t.next(func() { then(err) })
		}
	}
	timer = w.sim().timer(func() { end(timeout) })
	w.up(l, func() {
		err := serve()
		w.down(w.replies, func() { end(err) })
	})
}

// ask is wire.check.
func (w *simSession) ask(t *lane, then func(error)) {
	var l *lane
	if w.link != nil {
		l = w.link.pings
	}
	w.request(t, l, func() error {
		if !w.sim().server.knows(w.connection) {
			return errUnknown
		}
		return nil
	}, nats.ErrTimeout, then)
}

func (w *simSession) check(context.Context) error { panic("see ask") }
func (w *simSession) close() error                { panic("see leave") }

func (w *simSession) subscribe(transport.SubscribeConfig, func(transport.Delivery)) (stan.Subscription, error) {
	panic("see open")
}

// drop is that of wire.
func (w *simSession) drop() {
	if w.shut {
		return
	}
	w.shut = true
	if w.link != nil {
		w.cut()
	}
	t := w.callbacks
	t.add(func() { w.client.step(t, func(m *machine) { m.lost(w.number, nats.ErrConnectionClosed) }) })
	w.end()
}

// end is what stan.go does when its connection is over: publishes that are not
// answered get an error.
func (w *simSession) end() {
	w.over = true
	for _, a := range w.awaiting {
		t := w.client.lane()
		t.add(func() { w.answer(a, stan.ErrConnectionClosed) })
	}
}

// gone: the server answered a ping of stan.go's own that it does not know the client.
func (w *simSession) gone() {
	if w.over {
		return
	}
	w.end()
	t := w.client.lane()
	t.add(func() { w.client.step(t, func(m *machine) { m.lost(w.number, errUnknown) }) })
}

// ping is one that stan.go sends by itself.
func (w *simSession) ping() {
	if !w.begun || w.over || w.link == nil {
		return
	}
	w.up(w.link.pings, func() {
		if !w.sim().server.knows(w.connection) {
			w.down(w.replies, w.gone)
		}
	})
}

// cut ends the link. Some of what was under way arrives, if there is somebody to
// receive it: at the server late, maybe after the client is back.
func (w *simSession) cut() {
	link, t := w.link, w.callbacks
	w.link = nil
	for _, l := range link.lanes() {
		l.lose()
	}
	w.answers.lose()
	w.replies.lose()
	for _, in := range w.inners {
		in.messages.lose()
	}
	t.add(func() { w.client.step(t, func(m *machine) { m.cut(w.number, transport.ErrConnectionLost) }) })
	if w.shut {
		return
	}
	back := w.sim().newLane()
	// nats.go tells of the cut before it waits for the first attempt to come back.
	back.halted = func() bool { return !w.shut && (!w.client.reachable() || len(t.todo) > 0) }
	back.add(func() {
		if w.shut {
			return
		}
		w.link = w.sim().newLink(w.client)
		if w.sim().trap == resendTwice && !w.over {
			for _, a := range w.awaiting {
				w.sendPublish(a)
			}
		}
		t.add(func() { w.client.step(t, func(m *machine) { m.back(w.number) }) })
	})
}

// simInner is a subscription of stan.go.
type simInner struct {
	stan.Subscription

	session  *simSession
	want     *simWant
	inbox    string
	served   *simSub // what the server has made of it
	epoch    uint64
	receive  func(uint64, transport.Delivery)
	messages *lane
	open     bool // until then stan.go waits with what comes
	closed   bool
	closing  bool // the server has not confirmed that it is closed
	handed   map[uint64]bool
}

// open is wire.subscribe.
func (w *simSession) open(t *lane, epoch uint64, cfg transport.SubscribeConfig, receive func(uint64, transport.Delivery), then func(stan.Subscription, error)) {
	s := w.sim()
	if w.over {
		then(nil, stan.ErrConnectionClosed)
		return
	}
	in := &simInner{
		session: w, want: s.wantOf(cfg), inbox: fmt.Sprintf("inbox.%d", s.number()), epoch: epoch,
		receive: receive, messages: w.client.lane(), handed: make(map[uint64]bool),
	}
	in.messages.halted = func() bool { return w.client.frozen || !in.open && !in.closed }
	w.inners = append(w.inners, in)
	s.inners[in.inbox] = in
	var requests *lane
	if w.link != nil {
		requests = w.link.requests
	}
	w.request(t, requests, func() error {
		sub, err := s.server.join(simJoin{w.client.id, in.inbox, cfg.Durable, cfg.Group, cfg.MaxInFlight, cfg.Start})
		if err == nil {
			in.served = sub
			s.inside.add(func() { s.server.begin(sub) })
		}
		s.notef("%s joins %s: %v", w.client.id, in.inbox, err)
		return err
	}, stan.ErrSubReqTimeout, func(err error) {
		if err == nil {
			in.open = true
			then(in, nil)
			return
		}
		in.closed = true
		if errors.Is(err, stan.ErrSubReqTimeout) && w.link != nil {
			w.up(w.link.last, func() { _ = s.server.closeSub(in.inbox) }) // stan.go does so, and does not wait for an answer
		}
		then(nil, err)
	})
}

// close is stan.Subscription's.
func (in *simInner) close(t *lane, then func(error)) {
	w := in.session
	switch {
	case in.closed && !in.closing:
		then(stan.ErrBadSubscription)
		return
	case w.over:
		in.closed = true
		then(stan.ErrConnectionClosed)
		return
	}
	in.closed, in.closing = true, true
	var requests *lane
	if w.link != nil {
		requests = w.link.requests
	}
	w.request(t, requests, func() error {
		w.sim().notef("%s closes %s", w.client.id, in.inbox)
		return w.sim().server.closeSub(in.inbox)
	}, stan.ErrCloseReqTimeout, func(err error) {
		if err == nil || errors.Is(err, errSimUnknownSub) {
			in.closing = false
		}
		then(err)
	})
}

// deliver is what the server sends to it.
func (in *simInner) deliver(d simDelivery) {
	w := in.session
	w.sim().notef("event %d (%d times again) is sent to %s of %s", d.sequence, d.redelivered, in.inbox, w.client.id)
	w.down(in.messages, func() {
		if in.closed || w.over {
			return
		}
		stored := time.Unix(0, d.stored)
		if w.sim().trap == resumeBySequence {
			stored = time.Unix(0, 1)
		}
		in.receive(in.epoch, transport.Delivery{
			Sequence: d.sequence, Timestamp: stored, Redelivered: d.redelivered > 0, Deliveries: d.redelivered + 1,
			Data: []byte(d.data), Settler: &simSettler{in: in, event: identity{d.sequence, d.stored}},
		})
	})
}

type simSettler struct {
	*settler // for what NATS Streaming has not

	in    *simInner
	event identity
}

func (a *simSettler) Ack() error {
	in, w := a.in, a.in.session
	switch {
	case in.closed:
		return transport.ErrSubscriptionClosed
	case w.link == nil:
		return nats.ErrReconnectBufExceeded
	}
	want := in.want
	w.sim().mustf(want.handled[a.event], "%s: event %d, stored at %d, must not be acknowledged: it was not handled", want.name, a.event.sequence, a.event.stored)
	w.sim().notef("event %d is acknowledged to %s", a.event.sequence, in.inbox)
	w.up(w.link.requests, func() { w.sim().server.ack(in.served, a.event.sequence) })
	return nil
}

// simListener is the least that a listener does: it handles what is handed up, on a
// goroutine of its own, and acknowledges again what it has handled before.
type simListener struct {
	client *simClient
	want   *simWant
	sub    *subscription
	box    *lane
	done   map[identity]bool
}

// subscribe is conn.Subscribe.
func (c *simClient) subscribe(t *lane, want *simWant) {
	l := &simListener{client: c, want: want, box: c.lane(), done: make(map[identity]bool)}
	l.sub = &subscription{
		Ending: lifecycle.NewEnding(), conn: c.conn, deliver: l.deliver, member: &member{}, asked: make(chan error, 1),
		config: transport.SubscribeConfig{
			Subject: "c", Durable: want.durable, Group: want.group, AckWait: time.Second, MaxInFlight: 3,
			Interrupted: func() { l.box.todo = nil },
		},
	}
	l.sub.member.sub = l.sub
	l.sub.rejoin = func() {
		t := c.lane()
		t.add(func() { c.step(t, func(m *machine) { m.rejoin(l.sub.member) }) })
	}
	if want.durable == "" {
		l.sub.resume = &resume{}
		clear(want.handled) // its next one is another, and begins anew
	}
	c.listeners = slices.DeleteFunc(c.listeners, func(o *simListener) bool { return o.want == want })
	c.listeners = append(c.listeners, l)
	c.step(t, func(m *machine) { m.subscribe(l.sub.member) })
}

// leaveListener is subscription.Close, of a listener that comes again some time.
func (c *simClient) leaveListener(l *simListener) {
	l.sub.Stop()
	t := c.lane()
	var inner stan.Subscription
	var session uint64
	c.step(t, func(m *machine) { inner, session = m.remove(l.sub.member), m.session })
	if inner != nil {
		t.add(func() {
			innerOf(inner).close(t, func(err error) {
				c.step(t, func(m *machine) { m.left(inner, session, err) })
			})
		})
	}
	c.later(func(t *lane) { c.subscribe(t, l.want) })
}

// join is conn.join.
func (c *simClient) join(t *lane, e effect) {
	w, sub := wireOf(e.wire), e.member.sub
	if c.sim.trap == neverReopen && e.inner != nil {
		innerOf(e.inner).epoch = e.epoch
		c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, e.inner, nil) })
		return
	}
	open := func(err error) {
		if isUnheard(err) {
			c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, e.inner, err) })
			return
		}
		w.open(t, e.epoch, sub.begin(), sub.receive, func(inner stan.Subscription, err error) {
			c.sim.notef("%s has joined in epoch %d for %s: %v", c.id, e.epoch, c.sim.wantOf(sub.config).name, err)
			c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, inner, err) })
		})
	}
	if e.inner != nil {
		innerOf(e.inner).close(t, open)
	} else {
		open(nil)
	}
}

func (l *simListener) deliver(d transport.Delivery) {
	event := d.Settler
	if r, ok := event.(*resuming); ok {
		event = r.Settler
	}
	a := event.(*simSettler)
	a.in.handed[d.Sequence] = true
	id := a.event
	if l.client.sim.trap == handleBySequence {
		id.stored = 0
	}
	l.box.add(func() {
		if !l.done[id] {
			if l.client.sim.trouble && l.client.sim.chance(5) {
				return // the handler fails
			}
			l.want.handled[a.event] = true
			l.done[id] = true
		}
		_ = d.Settler.Ack()
	})
}

// write is conn.write.
func (c *simClient) write() {
	c.idle = true
	c.writer.add(func() {
		<-c.conn.writer
		c.idle = false
		c.writeOne()
	})
}

// writeOne is conn.writeOne.
func (c *simClient) writeOne() {
	m := &c.conn.machine
	l := m.next()
	if l == nil {
		c.write()
		return
	}
	w, epoch, session, ticket := wireOf(m.wire), m.epoch, m.session, l.ticket
	c.writer.add(func() {
		id := string(l.data)
		p := c.sim.publishes[id]
		err := w.publish(l.subject, l.data, func(err error) { c.conn.answered(ticket, epoch, err) })
		c.sim.notef("%s writes %s in epoch %d: %v", c.id, id, epoch, err)
		if !errors.Is(err, nats.ErrReconnectBufExceeded) {
			c.sim.mustf(!slices.Contains(p.sent, epoch), "%s must not be sent again on silence, in epoch %d", id, epoch)
			p.sent = append(p.sent, epoch)
		}
		c.writer.add(func() {
			var receipt transport.Receipt
			var outcome error
			var unconnected bool
			c.writer.add(func() {
				if unconnected {
					c.writer.next(c.write)
					c.checkLink(c.writer, session, w)
				} else {
					c.writeOne()
				}
			})
			c.step(c.writer, func(m *machine) { receipt, unconnected, outcome = m.written(l, epoch, err) })
			if receipt != nil {
				receipt.Settle(outcome)
			}
		})
	})
}

// checkLink is conn.checkLink.
func (c *simClient) checkLink(t *lane, session uint64, w *simSession) {
	if w.connected() {
		return
	}
	t.next(func() {
		if w.connected() {
			c.step(t, func(m *machine) { m.back(session) })
		}
	})
	c.step(t, func(m *machine) { m.cut(session, transport.ErrConnectionLost) })
}

// close is conn.Close; then the process starts again.
func (c *simClient) close() {
	c.closing = true
	c.conn.machine.outbox.closed = transport.ErrClosed
	t := c.lane()
	c.later(func(*lane) { // the publishes under way have had their time
		m := &c.conn.machine
		w, up := m.wire, m.phase == phaseUp
		m.end()
		c.conn.epoch.Store(m.epoch)
		for _, ticket := range m.outbox.tickets() {
			c.conn.Abandon(ticket)
		}
		if w == nil {
			c.sim.start(c.index)
			return
		}
		c.leave(t, wireOf(w), up)
	})
}

// leave is conn.leave.
func (c *simClient) leave(t *lane, w *simSession, up bool) {
	end := func(error) {
		w.drop()
		c.sim.start(c.index)
	}
	sayGoodbye := func(err error) {
		if err != nil && c.sim.trap != closeUnasked {
			end(err)
			return
		}
		if w.over {
			end(nil)
			return
		}
		w.end()
		var requests *lane
		if w.link != nil {
			requests = w.link.requests
		}
		w.request(t, requests, func() error {
			connection, taken := c.sim.server.clients[c.id]
			c.sim.mustf(!taken || connection == w.connection, "%s must not end its successor with its close request", c.id)
			return c.sim.server.closeClient(c.id)
		}, stan.ErrCloseReqTimeout, end)
	}
	switch {
	case !up && !w.connected():
		end(nil)
	default:
		t.add(func() {
			c.parting = true
			w.ask(t, sayGoodbye)
		})
	}
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
			s.mustf(p.left || c.closing || errors.Is(err, transport.ErrRefused), "%s must not be given up", id)
		default:
			s.mustf(p.left || c.closing || len(p.sent) > 1, "of %s more must be known than %v", id, err)
		}
	}))
}

// alive returns a client that runs, if there is one.
func (s *sim) alive() *simClient {
	c := s.clients[s.rand.IntN(len(s.clients))]
	if c.writer == nil || c.closing || c.frozen {
		return nil
	}
	return c
}

// act is what clients do at any time.
func (s *sim) act() {
	c := s.alive()
	if c == nil {
		return
	}
	switch s.rand.IntN(10) {
	case 0:
		for _, id := range slices.Sorted(maps.Keys(s.publishes)) {
			if p := s.publishes[id]; p.client == c && !p.settled && s.chance(50) {
				p.left = true
				c.conn.Abandon(p.ticket)
				break
			}
		}
	case 1, 2:
		s.pings()
	case 3:
		if s.trap == resendOnSilence && c.conn.machine.phase == phaseUp {
			c.conn.machine.outbox.again()
			c.conn.wake()
		}
	case 4:
		s.expire()
	default:
		s.publish(c)
	}
}

func (s *sim) pings() {
	for _, w := range s.linked {
		if !w.client.frozen {
			w.ping()
		}
	}
}

// expire lets the ack wait of one subscription pass.
func (s *sim) expire() {
	if !s.running || s.frozen || len(s.server.subs) == 0 {
		return
	}
	if sub := s.server.subs[s.rand.IntN(len(s.server.subs))]; sub.client != "" {
		s.server.expire(sub)
	}
}

// fault is something that goes wrong.
func (s *sim) fault() {
	s.linked = slices.DeleteFunc(s.linked, func(w *simSession) bool { return w.shut })
	c := s.clients[s.rand.IntN(len(s.clients))]
	switch s.rand.IntN(12) {
	case 0, 1:
		s.notef("cut %s", c.id)
		c.away = s.chance(50)
		s.cut(c)
	case 2:
		for _, w := range s.linked {
			if w.client == c && w.link != nil {
				s.notef("the link of %s is dead", c.id)
				link := w.link
				link.dead = true
				s.timer(func() {
					if w.link == link {
						w.cut()
					}
				})
			}
		}
	case 3:
		s.notef("the server is killed")
		s.stop()
	case 4:
		s.notef("the server is frozen")
		s.frozen = true
	case 5: // not between asking and saying goodbye: for the server to find out that nobody answers takes longer
		if s.running && !s.frozen && !c.parting && s.register(c.id, "rival of "+c.id) == nil {
			s.notef("%s is replaced", c.id)
			s.rival[c.id] = true
		}
	case 6:
		if s.running && !s.frozen && !c.closing { // by a process that was replaced, and does not ask
			s.notef("%s is closed by another", c.id)
			_ = s.server.closeClient(c.id)
		}
	case 7:
		if s.running && !s.frozen && !s.answers(c.id) {
			s.notef("the server has given %s up", c.id)
			_ = s.server.closeClient(c.id)
		}
	case 8:
		if !c.closing { // as above
			s.notef("%s is frozen", c.id)
			c.frozen = true
		}
	case 9:
		if c := s.alive(); c != nil && len(c.listeners) > 0 {
			if l := c.listeners[s.rand.IntN(len(c.listeners))]; l.sub.member.state != memberGone {
				s.notef("%s leaves %s", c.id, l.want.name)
				c.leaveListener(l)
			}
		}
	case 10:
		if c := s.alive(); c != nil {
			s.notef("%s is closed", c.id)
			c.close()
		}
	default:
		s.mend(c)
	}
}

func (s *sim) cut(c *simClient) {
	for _, w := range s.linked {
		if w.client == c && w.link != nil {
			w.cut()
		}
	}
}

// stop kills the server.
func (s *sim) stop() {
	if !s.running {
		return
	}
	s.running, s.frozen = false, false
	s.inside.todo = nil
	for _, l := range s.lanes {
		if l.from != "" {
			l.todo = nil
		}
	}
	for _, w := range s.linked {
		if w.link != nil {
			w.cut()
		}
	}
}

// mend ends one fault.
func (s *sim) mend(c *simClient) {
	switch {
	case !s.running:
		s.running = true
		if s.trouble && s.chance(30) {
			s.notef("the server is back, empty")
			s.server.empty()
			clear(s.rival)
		} else {
			s.notef("the server is back")
			s.server.restart()
		}
	case s.frozen:
		s.frozen = false
	case c.frozen:
		c.frozen = false
	case c.away:
		c.away = false
	case s.rival[c.id]:
		s.notef("who replaced %s leaves", c.id)
		s.rival[c.id] = false
		if s.server.clients[c.id] == "rival of "+c.id {
			_ = s.server.closeClient(c.id)
		}
	}
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
	for _, w := range s.linked {
		if w.link != nil && w.link.dead {
			w.cut()
		}
	}
	s.rest()
	s.pings()
	s.rest()
	s.publish(s.clients[0]) // see resume: without a durable one gets to know of an emptied store with the next event
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
		if c.conn.machine.phase != phaseUp {
			return fmt.Sprintf("%s is %v", c.id, c.conn.machine.phase)
		}
		for _, l := range c.listeners {
			if state := l.sub.member.state; state != memberOpen {
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
			open[innerOf(l.sub.member.inner).inbox] = true
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
func simulate(seed uint64, trap trap, log func(string, ...any)) (broken string) {
	s := newSim(seed, trap)
	s.log = log
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			broken = string(v)
		default:
			panic(v)
		}
	}()
	s.run()
	return ""
}

// TestSimulation runs many seeds: SEEDS of them, or SEED alone, and tells its story.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		require.Empty(t, simulate(seed, noTrap, t.Logf))
		return
	}
	seeds := uint64(2000)
	if n, err := strconv.ParseUint(os.Getenv("SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	began := time.Now()
	workers := uint64(runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for seed := worker; seed < seeds; seed += workers {
				if broken := simulate(seed, noTrap, nil); broken != "" {
					t.Errorf("SEED=%d: %s", seed, broken)
					return
				}
			}
		})
	}
	running.Wait()
	t.Logf("%d seeds in %v", seeds, time.Since(began).Round(time.Millisecond))
}

// TestTheSimulationHasTeeth: each mistake that is known to lose or double events is
// found, and soon.
func TestTheSimulationHasTeeth(t *testing.T) {
	t.Parallel()
	for mistake := resendOnSilence; mistake <= handleBySequence; mistake++ {
		t.Run(mistake.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2000) {
				if broken := simulate(seed, mistake, nil); broken != "" {
					t.Logf("found with %d seeds: %s", seed+1, broken)
					return
				}
			}
			require.Fail(t, "the mistake is not found")
		})
	}
}
