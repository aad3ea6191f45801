package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// Subscribe implements [transport.Conn].
func (c *conn) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if err := s.Validate(c.Features()); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, await.Cause(ctx)
	}
	sub := &subscription{
		Ending: lifecycle.NewEnding(), conn: c, config: s, place: c.place(s), deliver: deliver,
		drained:  make(chan struct{}),
		inFlight: make(map[uint64]flight), stopping: make(chan struct{}),
	}
	if err := c.hold(sub.place); err != nil {
		return nil, err
	}
	info, err := c.ensureConsumer(ctx, sub.place, s)
	if err == nil {
		err = sub.open(info)
	}
	if err == nil {
		c.mu.Lock()
		sub.created = c.created
		c.mu.Unlock()
	}
	if err != nil {
		c.release(sub.place)
		return nil, err
	}
	c.mu.Lock()
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	c.Enter(sub.Ending)
	sub.mu.Lock()
	sub.pull()
	sub.mu.Unlock()
	// The server has its request when Subscribe returns, so that it gets its share of
	// what is stored from now on. If the link is cut just now, it is asked again.
	_, _ = request(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) })
	return sub, nil
}

// hold makes sure that a durable without a group has one subscription: two would
// share the events that each is to get all of.
func (c *conn) hold(p place) error {
	if p.shared || !p.durable {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, held := c.held[p.name]; held {
		return fmt.Errorf("%w: another subscription of this client holds the durable; close that one, or give this one another durable name", transport.ErrRefused)
	}
	c.held[p.name] = struct{}{}
	return nil
}

func (c *conn) release(p place) {
	c.mu.Lock()
	delete(c.held, p.name)
	c.mu.Unlock()
}

// flight is a message that was delivered and not settled.
type flight struct {
	reply string    // where the server expects to hear of it
	due   time.Time // when its ack wait ends
	away  bool      // that has passed, or it was given back: it takes no room, and comes again
}

// subscription implements [transport.Subscription]: it asks a pull consumer for
// as many messages as it has room for.
type subscription struct {
	*lifecycle.Ending

	conn    *conn
	config  transport.SubscribeConfig
	place   place
	deliver func(transport.Delivery)
	drained chan struct{} // closed when nothing more can arrive
	empty   sync.Once     // closes drained
	stream  atomic.Uint64 // counts the streams that the sequences were of

	intake sync.Mutex // held while a message is handed up

	mu       sync.Mutex
	ackWait  time.Duration
	asked    pulls
	limits   limits
	round    uint64             // of requests: what answers an earlier one is not counted any more
	inner    *nats.Subscription // to the answers of this round
	inners   int                // how many are open, earlier ones included
	heardAt  time.Time          // when the server last said something of this round
	inFlight map[uint64]flight
	away     int       // how many of inFlight are
	top      uint64    // the highest sequence that was delivered
	floor    uint64    // what is below is handled, by all members together
	moved    bool      // delivered something since floor was asked for
	created  time.Time // when the stream was in which the consumer is
	other    bool      // the stream is another one than that in which the consumer was
	// inherited is how far the consumer had come before this subscription: what it has
	// left of that is not in inFlight.
	inherited uint64
	expiry    *time.Timer
	watchdog  *time.Timer
	fresh     bool // a goroutine asks for what the server knows
	healing   bool // a goroutine makes the consumer again
	heals     int  // how often, since the server last said something
	refused   int  // how many requests were, since it last served one
	warned    sparing
	stopped   bool
	stopping  chan struct{} // closed with stopped
}

// open subscribes to the answers of the first round.
func (s *subscription) open(info *js.ConsumerInfo) error {
	s.learn(info)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited = info.Delivered.Stream
	if err := s.turn(); err != nil {
		return s.conn.explain(err)
	}
	s.watchdog = time.AfterFunc(heartbeat, s.watch)
	return nil
}

// turn begins a round with an inbox of its own: the server serves no request of an
// earlier one, once nobody listens on the inbox of that. What is on its way is
// received still. It is called with s.mu held.
func (s *subscription) turn() error {
	s.round++
	s.asked = pulls{}
	s.heardAt = time.Now()
	if s.inner != nil {
		_ = s.inner.Drain()
	}
	round := s.round
	inner, err := s.conn.nc.Subscribe(s.conn.nc.NewInbox(), func(m *nats.Msg) { s.receive(m, round) })
	if err != nil {
		return err
	}
	s.inner = inner
	s.inners++
	inner.SetClosedHandler(func(string) {
		s.mu.Lock()
		s.inners--
		over := s.stopped && s.inners == 0
		s.mu.Unlock()
		if over {
			s.empty.Do(func() { close(s.drained) })
		}
	})
	// What can be on its way is bounded by what is asked for.
	return inner.SetPendingLimits(-1, -1)
}

// learn takes in what the server says of the consumer.
func (s *subscription) learn(info *js.ConsumerInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ackWait = waitFor(info.Config)
	s.limits = limitsOf(info.Config)
	s.floor = info.AckFloor.Stream + 1
	s.moved = false
}

func (s *subscription) AckWait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ackWait
}

// restart asks anew for as much as there is room for. What was asked for before
// is not waited for any more.
func (s *subscription) restart(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.conn.log.Debug("asking for events anew", slog.String("consumer", s.place.name), slog.String("why", why))
	if err := s.turn(); err != nil {
		return // the connection is closed
	}
	s.pull()
}

// pull asks for as much as there is room for. It is called with s.mu held.
func (s *subscription) pull() {
	if s.stopped || s.healing {
		return
	}
	room := s.config.MaxInFlight
	if s.config.Room != nil {
		room = max(1, min(room, s.config.Room()))
	}
	for {
		n := s.asked.want(room, len(s.inFlight)-s.away, s.limits.batch)
		if n == 0 {
			return
		}
		s.heardAt = time.Now()
		subject := s.conn.prefix + "CONSUMER.MSG.NEXT." + s.conn.cfg.ClusterID + "." + s.place.name
		if err := s.conn.nc.PublishRequest(subject, s.inner.Subject, s.limits.request(n)); err != nil {
			s.asked.unserved(n) // asked for again when the connection is back
			return
		}
	}
}

// receive takes in what comes: messages, and what the server says of requests.
func (s *subscription) receive(m *nats.Msg, round uint64) {
	o, ok := originOf(m.Reply)
	if !ok {
		s.status(m, round)
		return
	}
	s.intake.Lock()
	defer s.intake.Unlock()
	settler := &settler{sub: s, reply: m.Reply, sequence: o.sequence, stream: s.stream.Load()}
	if !s.take(o.sequence, m.Reply, round) {
		_ = settler.send(nak)
		return
	}
	s.deliver(transport.Delivery{
		Subject:     m.Subject,
		Sequence:    o.sequence,
		Timestamp:   o.stored,
		Redelivered: o.deliveries > 1,
		Deliveries:  int(o.deliveries), //nolint:gosec // G115: nothing is delivered that often
		Header:      transport.Header(m.Header),
		Data:        m.Data,
		Settler:     settler,
	})
}

// take counts a message in, unless there is no room for it.
func (s *subscription) take(sequence uint64, reply string, round uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if round == s.round {
		s.heardAt = now
		s.served()
		s.asked.arrived()
	}
	before, again := s.inFlight[sequence]
	if s.stopped {
		return false
	}
	if (!again || before.away) && len(s.inFlight)-s.away >= s.config.MaxInFlight {
		s.leave(sequence, again)
		return false
	}
	if before.away {
		s.away--
	}
	s.inFlight[sequence] = flight{reply: reply, due: now.Add(s.ackWait)}
	s.top = max(s.top, sequence)
	s.moved = true
	s.arm()
	s.pull()
	return true
}

// leave keeps in mind what comes again and takes no room until then, where nobody
// else handles it meanwhile.
func (s *subscription) leave(sequence uint64, known bool) {
	if s.place.shared {
		delete(s.inFlight, sequence)
		return
	}
	if f := s.inFlight[sequence]; !known || !f.away {
		f.away = true
		s.inFlight[sequence] = f
		s.away++
	}
}

// settled makes room for another message. done: this one does not come again.
func (s *subscription) settled(sequence uint64, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.inFlight[sequence]
	if !ok {
		return
	}
	if done {
		if f.away {
			s.away--
		}
		delete(s.inFlight, sequence)
	} else {
		s.leave(sequence, true)
	}
	s.pull()
}

// extended begins the ack wait of a message anew.
func (s *subscription) extended(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.inFlight[sequence]; ok && !f.away {
		f.due = time.Now().Add(s.ackWait)
		s.inFlight[sequence] = f
	}
}

// arm makes sure that the end of the next ack wait is noticed.
func (s *subscription) arm() {
	if s.expiry == nil {
		s.expiry = time.AfterFunc(s.ackWait, s.expire)
	}
}

// expire gives up the room of the messages whose ack wait has passed: the server
// delivers them again, here or elsewhere.
func (s *subscription) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiry = nil
	if s.stopped {
		return
	}
	now := time.Now()
	var next time.Time
	for sequence, f := range s.inFlight {
		switch {
		case f.away:
		case !f.due.After(now):
			s.leave(sequence, true)
		case next.IsZero() || f.due.Before(next):
			next = f.due
		}
	}
	if !next.IsZero() {
		s.expiry = time.AfterFunc(next.Sub(now), s.expire)
	}
	s.pull()
}

// status takes in what the server says of a request.
func (s *subscription) status(m *nats.Msg, round uint64) {
	status, description := m.Header.Get("Status"), m.Header.Get("Description")
	s.mu.Lock()
	defer s.mu.Unlock()
	if round != s.round {
		return
	}
	s.heardAt = time.Now()
	switch {
	case status == "100": // a heartbeat
		s.served()
	case status == "408", status == "409" && description == "Batch Completed":
		n, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		if err != nil {
			n = s.asked.outstanding
		}
		s.served()
		s.asked.unserved(n)
		s.pull()
	case status == "503", status == "409" && description == "Consumer Deleted":
		s.heal(status + " " + description)
	default:
		s.reject(status + " " + description)
	}
}

// served: the server takes requests. It is called with s.mu held.
func (s *subscription) served() { s.heals, s.refused = 0, 0 }

// reject deals with a request that the server has ended. It is called with s.mu held.
func (s *subscription) reject(why string) {
	passes := strings.Contains(why, "Leadership Change") || strings.Contains(why, "Server Shutdown")
	log := s.conn.log.With(slog.String("consumer", s.place.name), slog.String("status", why))
	if passes {
		log.Debug("request for events ended")
	} else if s.warned.due() {
		log.Warn("the server refuses requests for events: none are received until it takes them", slog.String("subject", s.config.Subject))
	}
	s.refused++
	round := s.round
	time.AfterFunc(max(unansweredWait, again.Delay(s.refused)), func() {
		s.mu.Lock()
		current := s.round == round && !s.stopped
		if current && !passes {
			s.refresh(true) // the consumer may be another than it was
		}
		s.mu.Unlock()
		if current && passes {
			s.restart(why)
		}
	})
}

// watch notices requests that the server has lost, and keeps the floor current.
func (s *subscription) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if silent := s.asked.outstanding > 0 && time.Since(s.heardAt) > 2*heartbeat; silent || s.moved {
		s.refresh(silent)
	}
	s.watchdog.Reset(heartbeat)
}

func (s *subscription) Stop() {
	s.intake.Lock()
	defer s.intake.Unlock()
	s.mu.Lock()
	was := s.stopped
	s.stopped = true
	inner := s.inner
	s.mu.Unlock()
	if was {
		return
	}
	close(s.stopping)
	// The server serves no request that nobody listens to the answer of. What was on
	// its way is received still, and given back.
	if err := inner.Drain(); err != nil {
		s.empty.Do(func() { close(s.drained) }) // the connection is closed
	}
}

func (s *subscription) Close(ctx context.Context) error {
	s.Stop()
	s.mu.Lock()
	s.watchdog.Stop()
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.mu.Unlock()
	c := s.conn
	c.mu.Lock()
	delete(c.subs, s)
	c.mu.Unlock()
	c.release(s.place)
	select {
	case <-s.drained:
	case <-s.Done(): // it was closed before, or lost with its connection
	case <-ctx.Done():
	}
	s.giveBack()
	if !s.Finish(transport.ErrClosed) {
		return nil
	}
	c.Leave(s.Ending)
	if err := s.left(ctx); err != nil && c.Err() == nil {
		return fmt.Errorf("the server did not confirm the end of the subscription: %w", err)
	}
	return nil
}

// giveBack lets the other members have at once what was not settled.
func (s *subscription) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.inFlight {
		if !f.away {
			_ = s.conn.nc.Publish(f.reply, nak)
		}
	}
	clear(s.inFlight)
}
