package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// again spaces out the attempts to find or make a consumer that is gone.
var again = natsconn.Again

// context ends when the subscription stops.
func (s *subscription) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-s.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// refresh asks the server how far the consumer has come, and asks for events anew
// if restart. It is called with s.mu held, and does not wait.
func (s *subscription) refresh(restart bool) {
	if s.fresh || s.healing {
		return
	}
	s.fresh = true
	s.conn.background(func() {
		ctx, cancel := s.context()
		defer cancel()
		consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) {
			return s.conn.js.Consumer(ctx, s.conn.cfg.ClusterID, s.place.name)
		})
		s.mu.Lock()
		s.fresh = false
		gone := errors.Is(err, js.ErrConsumerNotFound) || errors.Is(err, js.ErrStreamNotFound)
		if gone {
			s.heal("it is gone")
		}
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil || gone:
		case err != nil:
			s.conn.unheard(s.place.name, err)
		default:
			s.conn.answers()
			s.learn(consumer.CachedInfo())
			if restart {
				s.restart("the server did not answer")
			}
		}
	})
}

// unheard deals with JetStream not answering. When that goes on over a connection
// that claims to be there, the connection is not believed.
func (c *conn) unheard(consumer string, err error) {
	c.mu.Lock()
	again := !c.mute.IsZero() && time.Since(c.mute) > heartbeat/2 // others fail at the same moment
	if c.mute.IsZero() {
		c.mute = time.Now()
	} else if again {
		c.mute = time.Time{}
	}
	c.mu.Unlock()
	if c.silent.due() {
		c.log.Warn("no answer from JetStream about a consumer: events may be missing", slog.String("consumer", consumer), slog.Any("error", err))
	}
	if again && errors.Is(err, context.DeadlineExceeded) && c.nc.IsConnected() {
		_ = c.nc.ForceReconnect()
	}
}

// answers: JetStream does.
func (c *conn) answers() {
	c.mu.Lock()
	c.mute = time.Time{}
	c.mu.Unlock()
}

// heal finds the consumer again, or makes it again, and then asks for events anew.
// It is called with s.mu held, and does not wait.
func (s *subscription) heal(why string) {
	if s.healing || s.stopped {
		return
	}
	s.healing = true
	s.heals++
	wait := time.Duration(0)
	if s.heals > 1 { // it was found, and nothing was heard of it
		wait = again.Delay(s.heals - 1)
	}
	log := s.conn.log.With(slog.String("consumer", s.place.name), slog.String("subject", s.config.Subject), slog.String("group", s.config.Group))
	log.Debug("looking for the consumer", slog.String("why", why))
	s.conn.background(func() {
		ctx, cancel := s.context()
		defer cancel()
		missing := "no events of " + s.config.Subject + " are received: consumer " + s.place.name + " is not there and can't be made"
		var told sparing
		degraded := false
		defer func() {
			if degraded { // no more: it is there, or nobody needs it
				s.conn.watch.Tell(transport.Event{Kind: transport.Recovered, Reason: missing})
			}
		}()
		for attempt := 1; ; attempt++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = again.Delay(attempt)
			info, err := s.find(ctx, log)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				s.learn(info)
				s.mu.Lock()
				s.healing, s.other = false, false
				s.mu.Unlock()
				s.restart("the consumer is there")
				return
			}
			degraded = true
			if told.due() {
				s.conn.watch.Tell(transport.Event{Kind: transport.Degraded, Reason: missing, Err: err})
			}
		}
	})
}

// find returns the consumer, which it makes again if it is gone: to go on where
// all members together stood, or, if the stream is another one, at its beginning.
func (s *subscription) find(ctx context.Context, log *slog.Logger) (*js.ConsumerInfo, error) {
	c := s.conn
	if c.options.bindOnly {
		return c.ensureConsumer(ctx, s.place, s.config)
	}
	stream, err := c.findStream(ctx)
	if err != nil {
		return nil, c.explain(err)
	}
	s.belongsTo(stream)
	consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) {
		return c.js.Consumer(ctx, c.cfg.ClusterID, s.place.name)
	})
	if err == nil {
		return consumer.CachedInfo(), nil
	}
	asked := c.options.newConsumer(s.place, s.config)
	if !errors.Is(err, js.ErrConsumerNotFound) {
		return nil, c.explainConsumer(err, asked)
	}
	asked.DeliverPolicy, asked.OptStartSeq, asked.OptStartTime = js.DeliverAllPolicy, 0, nil
	switch next, other := s.resumeAt(); {
	case other: // its loss was told
	case next <= stream.State.LastSeq+1:
		asked.DeliverPolicy, asked.OptStartSeq = js.DeliverByStartSequencePolicy, next
		log.Error("the consumer was deleted: it is made again and goes on where the group stood; events from there on may come a second time",
			slog.Uint64("sequence", next))
	default:
		s.mu.Lock()
		s.forget()
		s.mu.Unlock()
		c.watch.Tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
			"stream %s holds less than before, and what it held is lost: consumer %s begins with what it holds now", c.cfg.ClusterID, s.place.name)})
	}
	consumer, err = c.createConsumer(ctx, asked)
	if err != nil {
		return nil, c.explainConsumer(err, asked)
	}
	return consumer.CachedInfo(), nil
}

// belongsTo takes in which stream it is. Of another one than before, what is known
// of the old one's sequences says nothing.
func (s *subscription) belongsTo(stream *js.StreamInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.created.Equal(stream.Created) {
		return
	}
	s.created = stream.Created
	s.other = true
	s.forget()
}

// forget forgets what is known of sequences that are others now. It is called with
// s.mu held.
func (s *subscription) forget() {
	clear(s.inFlight)
	s.away, s.top, s.floor, s.inherited = 0, 0, 1, 0
	s.stream.Add(1)
}

// resumeAt is the first sequence that may not have been handled, unless the stream
// is another one than that in which the consumer was.
func (s *subscription) resumeAt() (next uint64, other bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.place.shared || s.top == 0 || s.floor <= s.inherited {
		return max(s.floor, 1), s.other // others may have what lies above, or have left it
	}
	next = s.top + 1
	for sequence := range s.inFlight {
		next = min(next, sequence)
	}
	return next, s.other
}

// left tells the server that the subscription has ended.
func (s *subscription) left(ctx context.Context) error {
	c := s.conn
	if !s.place.durable && !s.needed(ctx) {
		// If it can't be deleted, the server does so itself after a while.
		_, _ = request(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, s.place.name)
		})
	}
	_, err := request(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) })
	return err
}

// needed reports whether other members wait for events, or have some: a member
// whose room is full does not wait.
func (s *subscription) needed(ctx context.Context) bool {
	if !s.place.shared {
		return false
	}
	for range 10 {
		waiting, pending, err := s.conn.members(ctx, s.place)
		if err != nil || waiting > 0 {
			return true
		}
		if pending == 0 {
			return false
		}
		select { // the server takes acknowledgements in beside what is asked of it
		case <-ctx.Done():
			return true
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

// members returns how many requests for events of a consumer wait at the server,
// those of the members that listen, and how many events are not acknowledged.
func (c *conn) members(ctx context.Context, p place) (waiting, pending int, err error) {
	consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) { return c.js.Consumer(ctx, c.cfg.ClusterID, p.name) })
	if err != nil {
		return 0, 0, err
	}
	info := consumer.CachedInfo()
	return info.NumWaiting, info.NumAckPending, nil
}

// DeleteDurable implements [transport.Conn]. A consumer that members wait on for
// events is not deleted: they would make it again. So does a member whose room is
// full, which the server can't tell from one that has died: what nobody
// acknowledged must not keep a durable from being deleted.
func (c *conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	if s.Durable == "" {
		return fmt.Errorf("%w: no durable name", transport.ErrInvalid)
	}
	if err := c.Err(); err != nil {
		return err
	}
	p := c.place(s)
	waiting, _, err := c.members(ctx, p)
	if errors.Is(err, js.ErrConsumerNotFound) {
		return nil
	}
	if err == nil && waiting > 0 {
		return fmt.Errorf("%w: members of the group are listening on consumer %q: end those first", transport.ErrRefused, p.name)
	}
	if err == nil || errors.Is(err, js.ErrNotPullConsumer) {
		_, err = request(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, p.name)
		})
	}
	if err != nil && !errors.Is(err, js.ErrConsumerNotFound) {
		return c.explain(err)
	}
	return nil
}
