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
		if errors.Is(err, js.ErrConsumerNotFound) || errors.Is(err, js.ErrStreamNotFound) {
			s.heal("it is gone")
		}
		s.mu.Unlock()
		if err == nil {
			s.learn(consumer.CachedInfo())
			if restart {
				s.restart("the server did not answer")
			}
		}
	})
}

// heal finds the consumer again, or makes it again, and then asks for events anew.
// It is called with s.mu held, and does not wait.
func (s *subscription) heal(why string) {
	if s.healing || s.stopped {
		return
	}
	s.healing = true
	log := s.conn.log.With(slog.String("consumer", s.place.name), slog.String("subject", s.config.Subject), slog.String("group", s.config.Group))
	log.Debug("looking for the consumer", slog.String("why", why))
	s.conn.background(func() {
		ctx, cancel := s.context()
		defer cancel()
		missing := "no events of " + s.config.Subject + " are received: consumer " + s.place.name + " is not there and can't be made"
		degraded := false
		defer func() {
			if degraded { // no more: it is there, or nobody needs it
				s.conn.watch.Tell(transport.Event{Kind: transport.Recovered, Reason: missing})
			}
		}()
		for attempt := 1; ; attempt++ {
			info, err := s.find(ctx, log)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				s.learn(info)
				s.mu.Lock()
				s.healing = false
				s.mu.Unlock()
				s.restart("the consumer is there")
				return
			}
			degraded = true
			s.conn.watch.Tell(transport.Event{Kind: transport.Degraded, Reason: missing, Err: err})
			select {
			case <-ctx.Done():
				return
			case <-time.After(again.Delay(attempt)):
			}
		}
	})
}

// find returns the consumer, which it makes again if it is gone: to go on where
// all members together stood, or, if the stream is gone as well, at its beginning.
func (s *subscription) find(ctx context.Context, log *slog.Logger) (*js.ConsumerInfo, error) {
	c := s.conn
	if c.options.bindOnly {
		return c.ensureConsumer(ctx, s.place, s.config)
	}
	stream, err := request(ctx, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) })
	if errors.Is(err, js.ErrStreamNotFound) {
		c.watch.Tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf("stream %s is gone, and what it held is lost: it is made again, empty", c.cfg.ClusterID)})
		s.forget()
		if err := c.ensureStream(ctx); err != nil {
			return nil, c.explain(err)
		}
		return c.ensureConsumer(ctx, s.place, s.config)
	}
	if err != nil {
		return nil, c.explain(err)
	}
	consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) { return stream.Consumer(ctx, s.place.name) })
	if err == nil {
		return consumer.CachedInfo(), nil
	}
	asked := c.options.newConsumer(s.place, s.config)
	if !errors.Is(err, js.ErrConsumerNotFound) {
		return nil, c.explainConsumer(err, asked)
	}
	next, made := s.resumeAt()
	// In a stream that is younger than the consumer was, sequences began at 1 again:
	// somebody else has made it, and may have published since.
	info := stream.CachedInfo()
	if next <= info.State.LastSeq+1 && !info.Created.After(made) {
		asked.DeliverPolicy, asked.OptStartSeq, asked.OptStartTime = js.DeliverByStartSequencePolicy, next, nil
		log.Error("the consumer was deleted: it is made again and goes on where the group stood; events from there on may come a second time",
			slog.Uint64("sequence", next))
	} else {
		s.forget()
		asked.DeliverPolicy, asked.OptStartSeq, asked.OptStartTime = js.DeliverAllPolicy, 0, nil
		c.watch.Tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
			"stream %s was made anew, and what it held is lost: consumer %s begins with what it holds now", c.cfg.ClusterID, s.place.name)})
	}
	consumer, err = c.createConsumer(ctx, asked)
	if err != nil {
		return nil, c.explainConsumer(err, asked)
	}
	return consumer.CachedInfo(), nil
}

// forget forgets how far the subscription has come, in a stream that is gone.
func (s *subscription) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.top, s.floor = 0, 1
}

// resumeAt is the first sequence that may not have been handled, and when the
// consumer was made that this is about.
func (s *subscription) resumeAt() (next uint64, made time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.place.shared || s.top == 0 {
		return max(s.floor, 1), s.made // others may have what lies above
	}
	next = s.top + 1
	for sequence := range s.inFlight {
		next = min(next, sequence)
	}
	return next, s.made
}

// left tells the server that the subscription has ended.
func (s *subscription) left(ctx context.Context) error {
	c := s.conn
	if !s.place.durable && !s.waited(ctx) {
		// Nobody needs it any more. If it can't be deleted, the server does so itself
		// after a while.
		_, _ = request(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, s.place.name)
		})
	}
	_, err := request(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) })
	return err
}

// waited reports whether other members wait for events.
func (s *subscription) waited(ctx context.Context) bool {
	if !s.place.shared {
		return false
	}
	n, err := s.conn.members(ctx, s.place)
	return err != nil || n > 0
}

// members returns how many requests for events of a consumer wait at the server:
// those of the members that listen.
func (c *conn) members(ctx context.Context, p place) (int, error) {
	consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) { return c.js.Consumer(ctx, c.cfg.ClusterID, p.name) })
	if err != nil {
		return 0, err
	}
	return consumer.CachedInfo().NumWaiting, nil
}

// DeleteDurable implements [transport.Conn]. A consumer that members are listening
// on is not deleted: they would make it again.
func (c *conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	if s.Durable == "" {
		return fmt.Errorf("%w: no durable name", transport.ErrInvalid)
	}
	if err := c.Err(); err != nil {
		return err
	}
	p := c.place(s)
	n, err := c.members(ctx, p)
	if errors.Is(err, js.ErrConsumerNotFound) {
		return nil
	}
	if err == nil && n > 0 {
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
