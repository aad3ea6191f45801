package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
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
	sub := newSubscription(c, s, deliver)
	if err := c.hold(sub); err != nil {
		return nil, err
	}
	if err := sub.begin(ctx); err != nil {
		c.forget(sub)
		sub.stop()
		sub.endAdvisories()
		return nil, err
	}
	c.Enter(sub.Ending)
	// The server has its request when Subscribe returns, so that it gets its share of
	// what is stored from now on. If the link is cut just now, it is asked again.
	_, _ = requestOnce(ctx, c, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) })
	return sub, nil
}

// hold adds a subscription to those of the connection. A durable without a group has
// one subscription: two would share the events that each is to get all of. So has, with option
// BindOnly, a consumer without both, which operators have made.
func (c *conn) hold(s *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.consumer.durable && !s.consumer.shared {
		if _, held := c.held[s.consumer.name]; held {
			if s.config.Durable == "" {
				return fmt.Errorf("%w: another subscription of this client holds consumer %q, and each event would go to one of the two; with option BindOnly, "+
					"close that one, or give this one a durable name", transport.ErrRefused, s.consumer.name)
			}
			return fmt.Errorf("%w: another subscription of this client holds the durable; close that one, or give this one another durable name", transport.ErrRefused)
		}
		c.held[s.consumer.name] = struct{}{}
	}
	c.subs[s] = struct{}{}
	return nil
}

// forget removes a subscription from those of the connection, and frees its durable.
// Doing so again does nothing: another subscription may hold the durable by then.
func (c *conn) forget(s *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, holds := c.subs[s]; holds {
		delete(c.subs, s)
		delete(c.held, s.consumer.name)
	}
}

// subscription implements [transport.Subscription]. It is the shell around a
// [consuming.Machine]: it carries out what the machine decides, and tells the machine
// its outcome.
type subscription struct {
	*lifecycle.Ending

	conn     *conn
	config   transport.SubscribeConfig
	consumer consumerRef
	deliver  func(transport.Delivery)
	log      *slog.Logger

	intake   sync.Mutex      // held while a message is handed up
	stopping context.Context //nolint:containedctx // ends when Stop is called: for the questions to the server
	stop     context.CancelFunc
	drained  *lifecycle.Ending // nothing more can arrive
	closed   *lifecycle.Ending // all has been given back

	mu          sync.Mutex
	machine     *consuming.Machine
	performing  bool               // a goroutine performs effects; they are performed one at a time
	spare       []consuming.Effect // memory for the next effects
	alarm       *time.Timer        // wakes the machine; nil: there was none yet
	alarmAt     time.Time          // zero: it is not set
	asking      context.Context    //nolint:containedctx // of the questions to the server that are asked from now on; ends with stopping
	forgetAsked context.CancelFunc // ends asking
	advisories  *nats.Subscription // of messages that the server gives up; nil: it gives none up

	inbox *nats.Subscription // of the current round; belongs to the goroutine that performs effects
}

func newSubscription(c *conn, s transport.SubscribeConfig, deliver func(transport.Delivery)) *subscription {
	sub := &subscription{
		Ending: lifecycle.NewEnding(), conn: c, config: s, consumer: c.consumerOf(s), deliver: deliver,
		drained: lifecycle.NewEnding(), closed: lifecycle.NewEnding(),
	}
	sub.log = c.log.With(slog.String("consumer", sub.consumer.name), slog.String("subject", s.Subject), slog.String("group", s.Group))
	sub.stopping, sub.stop = context.WithCancel(context.Background())
	sub.asking, sub.forgetAsked = context.WithCancel(sub.stopping)
	c.mu.Lock()
	var perSubject uint64
	if n := c.stream.MaxMsgsPerSubject; n > 0 && !transport.IsPattern(s.Subject) {
		perSubject = uint64(n)
	}
	c.mu.Unlock()
	sub.machine = consuming.New(consuming.Config{
		Consumer: sub.consumer.name, Subject: s.Subject, Group: s.Group, Durable: s.Durable, Shared: sub.consumer.shared, BindOnly: c.options.bindOnly,
		PerSubject: perSubject, MaxInFlight: s.MaxInFlight, Room: s.Room, Startable: s.Startable, Backoff: natsconn.Again.Delay,
	})
	return sub
}

// begin finds or creates the consumer, and asks for messages.
func (s *subscription) begin(ctx context.Context) error {
	c := s.conn
	info, err := c.ensureConsumer(ctx, s.consumer, s.config)
	if err != nil {
		return err
	}
	c.mu.Lock()
	created := c.created
	c.mu.Unlock()
	s.listenForGivenUp(info.Config)
	s.step(func(m *consuming.Machine, now time.Time) {
		m.Begin(now, infoOf(info), created)
		m.Look()
	})
	if c.nc.IsClosed() {
		return c.explain(nats.ErrConnectionClosed)
	}
	return nil
}

// step tells the machine what has happened, and performs what it decides.
func (s *subscription) step(event func(m *consuming.Machine, now time.Time)) {
	s.mu.Lock()
	event(s.machine, time.Now())
	s.perform()
	s.mu.Unlock()
}

// perform performs the machine's effects, in their order, until there are none. It is
// called with s.mu held, and releases it meanwhile. If another goroutine performs
// effects, that one performs these, too.
func (s *subscription) perform() {
	if s.performing {
		return
	}
	for {
		todo := s.machine.Effects(s.spare)
		if len(todo) == 0 {
			s.spare = todo
			break
		}
		s.performing, s.spare = true, nil
		s.mu.Unlock()
		for i := range todo {
			s.performOne(&todo[i])
			todo[i] = consuming.Effect{}
		}
		s.mu.Lock()
		s.performing, s.spare = false, todo
	}
	s.setAlarm()
}

// setAlarm sees to it that the machine is woken in time. It is called with s.mu held.
func (s *subscription) setAlarm() {
	due := s.machine.Due()
	switch {
	case due.Equal(s.alarmAt):
	case due.IsZero():
		s.alarm.Stop()
	case s.alarm == nil:
		s.alarm = time.AfterFunc(time.Until(due), s.wake)
	default:
		s.alarm.Reset(time.Until(due))
	}
	s.alarmAt = due
}

func (s *subscription) wake() {
	s.mu.Lock()
	s.alarmAt = time.Time{}
	s.machine.Wake(time.Now())
	s.perform()
	s.mu.Unlock()
}

// performOne performs one effect.
func (s *subscription) performOne(e *consuming.Effect) {
	switch e.Do {
	case consuming.OpenInbox:
		s.openInbox(e.Round)
	case consuming.CloseInbox:
		s.closeInbox()
	case consuming.Pull:
		if err := s.pull(e); err != nil {
			s.step(func(m *consuming.Machine, _ time.Time) { m.NotSent(e.Round, e.Batch) })
		}
	case consuming.FindConsumer, consuming.CheckConsumer, consuming.FindStream, consuming.CreateConsumer:
		question, ctx := *e, s.contextOfQuestions()
		s.conn.background(func() { s.askServer(ctx, question) })
	case consuming.GiveBack:
		_ = s.conn.nc.Publish(e.Reply, nakAfter(e.Delay))
	case consuming.SendAnswer:
		_ = s.conn.nc.Publish(e.Reply, e.Answer)
	case consuming.UseAckWait:
		s.log.Warn("the consumer's ack wait was changed, and is used from now on", slog.Duration("ack_wait", e.Delay))
		if s.config.AckWaitChanged != nil {
			s.config.AckWaitChanged(e.Delay)
		}
	case consuming.Tell:
		s.conn.watch.Tell(e.Event)
	case consuming.Log:
		s.log.LogAttrs(s.stopping, e.Level, e.Text, e.Attrs...) //nolint:sloglint // the machine's texts are literals
	case consuming.Drained:
		s.drained.Finish(nil)
	case consuming.Closed:
		s.closed.Finish(nil)
	}
}

// reconnected tells the machine that the link was lost and is back. The machine asks the
// server anew, and the questions that were asked before are given up: after the machine has
// forgotten them, so that it does not take their end for an answer.
func (s *subscription) reconnected() {
	s.mu.Lock()
	giveUp := s.forgetAsked
	s.asking, s.forgetAsked = context.WithCancel(s.stopping)
	s.machine.Reconnected(time.Now())
	s.perform()
	s.mu.Unlock()
	giveUp()
	if s.stopping.Err() != nil { // the machine asks nothing any more
		s.conn.background(func() { s.answerAgain(context.Background()) })
	}
}

// contextOfQuestions returns the context of a question to the server that is asked now. It
// ends when the link is replaced, or Stop is called.
func (s *subscription) contextOfQuestions() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asking
}

// AckWait implements [transport.Subscription].
func (s *subscription) AckWait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.AckWait()
}

// Stop implements [transport.Subscription].
func (s *subscription) Stop() {
	s.intake.Lock()
	defer s.intake.Unlock()
	s.step(func(m *consuming.Machine, _ time.Time) { m.Stop() })
	s.stop()
}

// Close implements [transport.Subscription].
func (s *subscription) Close(ctx context.Context) error {
	s.Stop()
	c := s.conn
	c.forget(s)
	select {
	case <-s.drained.Done():
	case <-s.Done(): // it was closed before, or lost with its connection
	case <-ctx.Done():
	}
	s.answerAgain(ctx)
	s.step(func(m *consuming.Machine, _ time.Time) { m.Close() })
	select {
	case <-s.closed.Done(): // here, or by another goroutine that performs effects
	case <-ctx.Done():
	}
	if !s.Finish(transport.ErrClosed) {
		return nil
	}
	s.endAdvisories()
	c.Leave(s.Ending)
	if err := s.leave(ctx); err != nil && c.Err() == nil {
		return fmt.Errorf("the server did not confirm the end of the subscription: %w", err)
	}
	return nil
}
