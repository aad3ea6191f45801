package stan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// A client of the simulation: the shell around the supervisor, with lanes for goroutines.
// What conn does is done here in the same steps.

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
		if c.conn.supervisor.phase != phaseOver {
			t := c.lane()
			t.add(func() { f(t) })
		}
	})
}

// background is conn.background.
func (c *simClient) background(f func(*lane)) {
	if c.conn.supervisor.phase != phaseOver {
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
		c.step(t, func(sup *supervisor) { sup.begin(w) })
	})
}

func (c *simClient) notified(e transport.Event) {
	c.sim.notef("%s is told %v %s %v", c.id, e.Kind, e.Reason, e.Err)
	c.sim.mustf(e.Kind != transport.MessagesRemoved, "%s was told of a gap where there was none: %v", c.id, e.Err)
}

// step is conn.step; what the supervisor decides is what t does next, before anything
// that was put there before.
func (c *simClient) step(t *lane, happened func(*supervisor)) {
	m := &c.conn.supervisor
	was, epoch := m.phase, m.epoch
	happened(m)
	effects := m.takeEffects()
	c.conn.epoch.Store(m.epoch)
	if m.phase != was || m.epoch != epoch {
		c.sim.notef("%s is %v, epoch %d, session %d", c.id, m.phase, m.epoch, m.sessionNo)
	}
	steps := make([]func(), len(effects))
	for i, e := range ordered(effects) {
		c.sim.mustf(was != phaseOver || e.do == dropSession, "after the end there must be no effect but dropping what came late: %v", e.do)
		steps[i] = func() { c.perform(e) }
	}
	t.next(steps...)
}

// ordered puts effects on members, which come in the order of a map, in one that
// depends on the seed alone.
func ordered(effects []effect) []effect {
	for i := 0; i < len(effects); {
		j := i + 1
		for effects[i].sub != nil && j < len(effects) && effects[j].sub != nil && effects[j].do == effects[i].do {
			j++
		}
		slices.SortFunc(effects[i:j], func(a, b effect) int { return strings.Compare(nameOf(a), nameOf(b)) })
		i = j
	}
	return effects
}

func nameOf(e effect) string {
	if e.sub == nil {
		return ""
	}
	return e.sub.shell.config.Durable + "/" + e.sub.shell.config.Group
}

// perform is conn.perform.
func (c *simClient) perform(e effect) {
	switch e.do {
	case dialSession:
		c.background(func(t *lane) {
			c.dial(t, e.sessionNo, func(w *simSession, err error) {
				if err != nil {
					c.step(t, func(sup *supervisor) { sup.onDialed(nil, err) })
					return
				}
				t.next(func() { c.checkLink(t, e.sessionNo, w) })
				c.step(t, func(sup *supervisor) { sup.onDialed(w, nil) })
			})
		})
	case pauseDialing:
		c.later(func(t *lane) { c.step(t, (*supervisor).onDialPauseOver) })
	case checkSession:
		check := func(t *lane) {
			sessionOf(e.session).ask(t, func(err error) {
				c.step(t, func(sup *supervisor) { sup.onChecked(e.epoch, err) })
			})
		}
		if e.after > 0 {
			c.later(check)
		} else {
			c.background(check)
		}
	case dropSession:
		sessionOf(e.session).drop() // a moment later, but long before the dial that follows it has a session
	case openSubscription:
		c.background(func(t *lane) { c.join(t, e) })
	case pauseOpening:
		c.later(func(t *lane) { c.step(t, func(sup *supervisor) { sup.onOpenPauseOver(e.sub) }) })
	case closeInner:
		leave := func(t *lane) {
			innerOf(e.inner).close(t, func(err error) {
				c.step(t, func(sup *supervisor) { sup.onInnerClosed(e.inner, e.sessionNo, err) })
			})
		}
		if e.after > 0 {
			c.later(leave)
		} else {
			c.background(leave)
		}
	case voidDeliveries, notifyOwner, wakeWriter:
		c.conn.perform(e) // which does not wait
	case answerSubscribe:
		if l := c.listenerOf(e.sub); e.err != nil && l != nil {
			c.later(func(t *lane) { c.subscribe(t, l.want) }) // the caller tries again
		}
	case pausePublishing:
		c.later(func(t *lane) { c.step(t, func(sup *supervisor) { sup.onGraceOver(e.epoch) }) })
	default:
		c.sim.mustf(false, "the simulation does not know effect %d", e.do)
	}
}

func sessionOf(w stanSession) *simSession       { return w.(*simSession) }
func innerOf(inner stan.Subscription) *simInner { return inner.(*simInner) }

func (c *simClient) listenerOf(m *subscriptionState) *simListener {
	for _, l := range c.listeners {
		if l.sub.state == m {
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
	m := &c.conn.supervisor
	if m.outbox.CheckDue() {
		c.conn.checkRefusals(m.session, m.epoch) // its server refuses nothing
	}
	l := m.next()
	if l == nil {
		c.write()
		return
	}
	w, epoch, session, ticket, attempt := sessionOf(m.session), m.epoch, m.sessionNo, l.Ticket(), l.Attempt()
	c.writer.add(func() {
		id := string(l.Message.Data)
		p := c.sim.publishes[id]
		err := w.send(l.Message.Data, func(err error) { c.answered(ticket, attempt, err) })
		c.sim.notef("%s writes %s in epoch %d: %v", c.id, id, epoch, err)
		if !errors.Is(err, nats.ErrReconnectBufExceeded) {
			c.sim.mustf(!slices.Contains(p.sent, epoch), "%s must not be sent again on silence, in epoch %d", id, epoch)
			p.sent = append(p.sent, epoch)
		}
		c.writer.add(func() {
			var outcome outbox.Outcome
			var unconnected bool
			c.writer.add(func() {
				if unconnected {
					c.writer.next(c.write)
					c.checkLink(c.writer, session, w)
				} else {
					c.writeOne()
				}
			})
			c.step(c.writer, func(sup *supervisor) { outcome, unconnected = sup.onWritten(l, epoch, err) })
			outcome.Tell()
		})
	})
}

// answered is conn.answered.
func (c *simClient) answered(ticket transport.Ticket, attempt outbox.Attempt, err error) {
	var outcome outbox.Outcome
	// On a lane of its own: what follows does not travel.
	c.step(c.lane(), func(sup *supervisor) { outcome = sup.onAnswered(ticket, attempt, err) })
	outcome.Tell()
}

// checkLink is conn.checkLink.
func (c *simClient) checkLink(t *lane, session uint64, w *simSession) {
	if w.connected() {
		return
	}
	t.next(func() {
		if w.connected() {
			c.step(t, func(sup *supervisor) { sup.onReconnect(session) })
		}
	})
	c.step(t, func(sup *supervisor) { sup.onDisconnect(session, transport.ErrConnectionLost) })
}

// close is conn.Close; then the process starts again.
func (c *simClient) close() {
	c.closing = true
	c.conn.supervisor.outbox.Close(transport.ErrClosed)
	t := c.lane()
	c.later(func(*lane) { // the publishes under way have had their time
		m := &c.conn.supervisor
		w := m.session
		m.end()
		c.conn.epoch.Store(m.epoch)
		for _, ticket := range m.outbox.Tickets() {
			c.conn.Abandon(ticket)
		}
		if w == nil {
			c.sim.start(c.index)
			return
		}
		c.leave(t, sessionOf(w))
	})
}

// leave is conn.leave.
func (c *simClient) leave(t *lane, w *simSession) {
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
		w.over = true
		for _, in := range w.inners {
			if !in.closed || in.closing {
				in.resendAcks()
			}
		}
		var requests *lane
		if w.link != nil {
			requests = w.link.requests
		}
		w.request(t, requests, func() error {
			for _, in := range w.inners {
				if in.closed && !in.closing {
					continue // a backup may have brought it back
				}
				c.sim.mustf(in.acksArrived(), "%s is closed, and what it has acknowledged must not go to others", c.id)
			}
			connection, taken := c.sim.server.clients[c.id]
			c.sim.mustf(!taken || connection == w.connection, "%s must not end its successor with its close request", c.id)
			return c.sim.server.closeClient(c.id)
		}, stan.ErrCloseReqTimeout, end)
	}
	switch {
	case !w.connected():
		end(nil)
	default:
		t.add(func() {
			c.parting = true
			w.ask(t, sayGoodbye)
		})
	}
}
