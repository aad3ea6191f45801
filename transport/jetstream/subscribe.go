package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// Subscribe implements [transport.Conn].
func (c *conn) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if err := validateSubscription(s); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, await.Ended(ctx)
	}
	sub := &subscription{
		Ending: lifecycle.NewEnding(), conn: c, config: s, place: c.place(s), deliver: deliver,
		inbox: c.nc.NewInbox() + ".", drained: make(chan struct{}),
		inFlight: make(map[uint64]flight), stopping: make(chan struct{}),
	}
	if err := c.hold(sub.place); err != nil {
		return nil, err
	}
	info, err := c.ensureConsumer(ctx, sub.place, s)
	if err == nil {
		err = sub.open(info)
	}
	if err != nil {
		c.release(sub.place)
		return nil, err
	}
	c.mu.Lock()
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	c.Enter(sub.Ending)
	sub.restart("")
	return sub, nil
}

func validateSubscription(s transport.SubscribeConfig) error {
	switch err := s.Start.Validate(); {
	case err != nil:
		return err
	case s.AckWait <= 0:
		return fmt.Errorf("%w ack wait %v: must be positive", transport.ErrInvalid, s.AckWait)
	case s.MaxInFlight < 1:
		return fmt.Errorf("%w max in flight %d: must be at least 1", transport.ErrInvalid, s.MaxInFlight)
	default:
		return nil
	}
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
	reply   string    // where the server expects to hear of it
	due     time.Time // when its ack wait ends
	expired bool      // that has passed, so that it takes no room any more
}

// subscription implements [transport.Subscription]: it asks a pull consumer for
// as many messages as it has room for.
type subscription struct {
	*lifecycle.Ending

	conn    *conn
	config  transport.SubscribeConfig
	place   place
	deliver func(transport.Delivery)
	inbox   string // prefix of the subjects that requests are answered on
	inner   *nats.Subscription
	drained chan struct{} // closed when nothing more can arrive
	empty   sync.Once     // closes drained

	intake sync.Mutex // held while a message is handed up

	mu       sync.Mutex
	ackWait  time.Duration
	asked    pulls
	round    uint64 // of requests: what answers an earlier one is not counted any more
	heard    time.Time
	inFlight map[uint64]flight
	expired  int       // how many of inFlight have
	top      uint64    // the highest sequence that was delivered
	floor    uint64    // what is below is handled, by all members together
	made     time.Time // when the consumer was, in whose stream these sequences are
	moved    bool      // delivered something since floor was asked for
	expiry   *time.Timer
	pulse    *time.Timer
	fresh    bool // a goroutine asks for what the server knows
	healing  bool // a goroutine makes the consumer again
	stopped  bool
	stopping chan struct{} // closed with stopped
}

// open subscribes to the answers.
func (s *subscription) open(info *js.ConsumerInfo) error {
	s.learn(info)
	inner, err := s.conn.nc.Subscribe(s.inbox+"*", s.receive)
	if err != nil {
		return s.conn.explain(err)
	}
	inner.SetClosedHandler(func(string) { s.empty.Do(func() { close(s.drained) }) })
	// What can be on its way is bounded by what is asked for.
	if err := inner.SetPendingLimits(-1, -1); err != nil {
		return s.conn.explain(err)
	}
	s.inner = inner
	s.pulse = time.AfterFunc(heartbeat, s.beat)
	return nil
}

// learn takes in what the server says of the consumer.
func (s *subscription) learn(info *js.ConsumerInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ackWait = waitFor(info.Config)
	s.floor = info.AckFloor.Stream + 1
	s.made = info.Created
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
	if why != "" {
		s.conn.log.Debug("asking for events anew", slog.String("consumer", s.place.name), slog.String("why", why))
	}
	s.round++
	s.asked = pulls{}
	s.heard = time.Now()
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
	n := s.asked.want(room, len(s.inFlight)-s.expired)
	if n == 0 {
		return
	}
	s.heard = time.Now()
	subject := s.conn.prefix + "CONSUMER.MSG.NEXT." + s.conn.cfg.ClusterID + "." + s.place.name
	if err := s.conn.nc.PublishRequest(subject, s.inbox+strconv.FormatUint(s.round, 36), pullRequest(n)); err != nil {
		s.asked.unserved(n) // asked for again when the connection is back
	}
}

// receive takes in what comes: messages, and what the server says of requests.
func (s *subscription) receive(m *nats.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		s.status(m)
		return
	}
	s.intake.Lock()
	defer s.intake.Unlock()
	settler := &settler{sub: s, reply: m.Reply, sequence: meta.Sequence.Stream}
	if !s.take(meta.Sequence.Stream, m.Reply) {
		_ = settler.send(nak)
		return
	}
	s.deliver(transport.Delivery{
		Subject:     m.Subject,
		Sequence:    meta.Sequence.Stream,
		Timestamp:   meta.Timestamp,
		Redelivered: meta.NumDelivered > 1,
		Deliveries:  int(meta.NumDelivered), //nolint:gosec // G115: nothing is delivered that often
		Header:      transport.Header(m.Header),
		Data:        m.Data,
		Settler:     settler,
	})
}

// take counts a message in, unless there is no room for it.
func (s *subscription) take(sequence uint64, reply string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	s.asked.arrived()
	before, again := s.inFlight[sequence]
	if s.stopped || !again && len(s.inFlight)-s.expired >= s.config.MaxInFlight {
		return false
	}
	if before.expired {
		s.expired--
	}
	s.inFlight[sequence] = flight{reply: reply, due: time.Now().Add(s.ackWait)}
	s.top = max(s.top, sequence)
	s.moved = true
	s.arm()
	s.pull()
	return true
}

// settled makes room for another message.
func (s *subscription) settled(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.inFlight[sequence]
	if !ok {
		return
	}
	if f.expired {
		s.expired--
	}
	delete(s.inFlight, sequence)
	s.pull()
}

// extended begins the ack wait of a message anew.
func (s *subscription) extended(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.inFlight[sequence]; ok && !f.expired {
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
		case f.expired:
		case !f.due.After(now) && s.place.shared:
			delete(s.inFlight, sequence)
		case !f.due.After(now):
			f.expired = true // it comes again, and is not handled yet
			s.inFlight[sequence] = f
			s.expired++
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
func (s *subscription) status(m *nats.Msg) {
	status, description := m.Header.Get("Status"), m.Header.Get("Description")
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.TrimPrefix(m.Subject, s.inbox) != strconv.FormatUint(s.round, 36) {
		return // an earlier round
	}
	s.heard = time.Now()
	switch {
	case status == "100": // a heartbeat
	case status == "408", status == "409" && description == "Batch Completed":
		n, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		if err != nil {
			n = s.asked.outstanding
		}
		s.asked.unserved(n)
		s.pull()
	case status == "503", status == "409" && description == "Consumer Deleted":
		s.heal(status + " " + description)
	default:
		// Such as a change of leader, or a server that shuts down.
		s.conn.log.Debug("request for events ended", slog.String("consumer", s.place.name),
			slog.String("status", status), slog.String("description", description))
		round := s.round
		time.AfterFunc(unansweredWait, func() {
			s.mu.Lock()
			current := s.round == round
			s.mu.Unlock()
			if current {
				s.restart(status + " " + description)
			}
		})
	}
}

// beat notices requests that the server has lost, and keeps the floor current.
func (s *subscription) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if silent := s.asked.outstanding > 0 && time.Since(s.heard) > 2*heartbeat; silent || s.moved {
		s.refresh(silent)
	}
	s.pulse.Reset(heartbeat)
}

func (s *subscription) Stop() {
	s.intake.Lock()
	defer s.intake.Unlock()
	s.mu.Lock()
	was := s.stopped
	s.stopped = true
	s.mu.Unlock()
	if was {
		return
	}
	close(s.stopping)
	// The server serves no request that nobody listens to the answer of. What was on
	// its way is received still, and given back.
	if err := s.inner.Drain(); err != nil {
		s.empty.Do(func() { close(s.drained) }) // the connection is closed
	}
}

func (s *subscription) Close(ctx context.Context) error {
	s.Stop()
	s.mu.Lock()
	s.pulse.Stop()
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
		if !f.expired {
			_ = s.conn.nc.Publish(f.reply, nak)
		}
	}
	clear(s.inFlight)
}
