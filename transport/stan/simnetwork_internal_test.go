package stan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
	"github.com/sgtickets/common/transport/internal/unproven"
)

// The network of the simulation, and what stan.go and nats.go are on top of it.

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

// simSession implements session: what stan.go and nats.go are in one session.
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

func (w *simSession) publish(string, []byte, transport.Ticket, outbox.Attempt) error {
	panic("see send")
}

// send is stanSession.publish.
func (w *simSession) send(data []byte, answered func(error)) error {
	switch {
	case w.shut:
		return nats.ErrConnectionClosed
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

// request sends a request, and calls then, on t, with its result.
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

// ask is stanSession.check.
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

func (w *simSession) check(context.Context) error         { panic("see ask") }
func (w *simSession) close() error                        { panic("see leave") }
func (w *simSession) checkRefusals(context.Context) error { return nil } // its server refuses nothing

func (w *simSession) subscribe(transport.SubscribeConfig, func(transport.Delivery)) (stan.Subscription, error) {
	panic("see open")
}

// drop is that of stanSession.
func (w *simSession) drop() {
	if w.shut {
		return
	}
	w.shut = true
	if w.link != nil {
		w.cut()
	}
	t := w.callbacks
	t.add(func() {
		w.client.step(t, func(sup *supervisor) { sup.onSessionLost(w.number, nats.ErrConnectionClosed) })
	})
	w.over = true
}

// gone: the server answered a ping of stan.go's own that it does not know the client.
func (w *simSession) gone() {
	if w.over {
		return
	}
	w.over = true
	t := w.client.lane()
	t.add(func() { w.client.step(t, func(sup *supervisor) { sup.onSessionLost(w.number, errUnknown) }) })
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
	t.add(func() {
		w.client.step(t, func(sup *supervisor) { sup.onDisconnect(w.number, transport.ErrConnectionLost) })
	})
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
		if w.sim().trap == resendTwice {
			for _, a := range w.awaiting {
				w.sendPublish(a)
			}
		}
		t.add(func() { w.client.step(t, func(sup *supervisor) { sup.onReconnect(w.number) }) })
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
	mayBe    bool // mayBeClosed of innerSubscription
	handed   map[uint64]bool
	handled  map[identity]bool      // by the listener
	server   int                    // how often the server was started when it was opened
	link     *simLink               // that it was opened over
	acks     unproven.Log[identity] // as those of innerSubscription
	acked    map[identity]bool      // what was acknowledged while it was open

	otherStore bool // acknowledgements were not sent again, since the store was another one
}

// open is stanSession.subscribe.
func (w *simSession) open(t *lane, epoch uint64, cfg transport.SubscribeConfig, receive func(uint64, transport.Delivery), then func(stan.Subscription, error)) {
	s := w.sim()
	if w.over {
		then(nil, stan.ErrConnectionClosed)
		return
	}
	in := &simInner{
		session: w, want: s.wantOf(cfg), inbox: fmt.Sprintf("inbox.%d", s.number()), epoch: epoch, server: s.server.starts, link: w.link,
		receive: receive, messages: w.client.lane(), handed: make(map[uint64]bool), handled: s.wantOf(cfg).handled,
		acks: unproven.New[identity](remembers(cfg.MaxInFlight)), acked: make(map[identity]bool),
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
	in.resendAcks()
	var requests *lane
	if w.link != nil {
		requests = w.link.requests
	}
	w.request(t, requests, func() error {
		w.sim().notef("%s closes %s", w.client.id, in.inbox)
		w.sim().mustf(in.acksArrived(), "%s of %s is closed, and what it has acknowledged must not go to others", in.inbox, w.client.id)
		return w.sim().server.closeSub(in.inbox)
	}, stan.ErrCloseReqTimeout, func(err error) {
		switch {
		case errors.Is(err, stan.ErrCloseReqTimeout):
			in.mayBe = true
		case err == nil:
			in.closing = false
		case errors.Is(err, errSimUnknownSub):
			in.closing = false
			if in.mayBe && in.server == w.sim().server.starts || w.sim().trap == keepForgotten {
				err = nil
			}
		}
		then(err)
	})
}

// acksArrived reports whether the server has had all that was acknowledged. Of a store that was
// put back to before that, nobody can say so.
func (in *simInner) acksArrived() bool {
	server := in.session.sim().server
	served := server.sub(in.inbox)
	return served == nil || in.otherStore ||
		!slices.ContainsFunc(served.pending, func(seq uint64) bool { return in.acked[identity{seq, server.event(seq).stored}] })
}

// resendAcks is that of innerSubscription.
func (in *simInner) resendAcks() {
	w := in.session
	if w.link == nil || w.link == in.link || w.sim().trap == neverResendAcks {
		return
	}
	if !in.sameStore() {
		in.otherStore = true
		return
	}
	for event := range in.acks.All() {
		w.up(w.link.requests, func() {
			if served := w.sim().server.sub(in.inbox); served != nil {
				w.sim().server.ack(served, event.sequence)
			}
		})
	}
}

// sameStore is innerSubscription.isStored: the store holds the last event that was acknowledged.
func (in *simInner) sameStore() bool {
	var last identity
	for event := range in.acks.All() {
		if event.sequence >= last.sequence {
			last = event
		}
	}
	log := in.session.sim().server.log
	return last.sequence == 0 || last.sequence <= uint64(len(log)) && log[last.sequence-1].stored == last.stored
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
	w.sim().mustf(in.handled[a.event], "%s: event %d, stored at %d, must not be acknowledged: it was not handled", in.want.name, a.event.sequence, a.event.stored)
	in.acks.Add(a.event)
	if in.closed || w.over {
		return transport.ErrSubscriptionClosed
	}
	in.acked[a.event] = true
	if w.link == nil {
		return nats.ErrReconnectBufExceeded
	}
	w.sim().notef("event %d is acknowledged to %s", a.event.sequence, in.inbox)
	w.up(w.link.requests, func() { w.sim().server.ack(in.served, a.event.sequence) })
	return nil
}
