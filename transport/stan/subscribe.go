package stan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/stan.go"

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
		Ending: lifecycle.NewEnding(), conn: c, config: s, deliver: deliver, state: &subscriptionState{}, asked: make(chan error, 1), joined: time.Now(),
	}
	sub.state.shell = sub
	sub.reopen = func() { go c.step(func(sup *supervisor) { sup.reopen(sub.state) }) }
	if s.Durable == "" {
		sub.resume = &resume{}
	}
	if err := c.refuseSecondDurable(sub); err != nil {
		return nil, err
	}
	sub.place = c.placeOf(s)
	c.step(func(sup *supervisor) { sup.subscribe(sub.state) })
	select {
	case err := <-sub.asked:
		if err != nil {
			return nil, explainSubscribe(err)
		}
	case <-ctx.Done():
		_ = sub.leave(ctx)
		return nil, fmt.Errorf("the server did not confirm the subscription: %w", await.Cause(ctx))
	case <-c.Done():
		return nil, transport.ErrClosed
	}
	c.Enter(sub.Ending)
	return sub, nil
}

// refuseSecondDurable refuses a second subscription to a durable without a group: the server
// has one for each client.
func (c *conn) refuseSecondDurable(sub *subscription) error {
	if sub.config.Durable == "" || sub.config.Group != "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for held := range c.supervisor.subscriptions {
		if other := held.shell.config; other.Subject == sub.config.Subject && other.Durable == sub.config.Durable && other.Group == "" {
			return fmt.Errorf("%w: another subscription of this client holds the durable; close that one, or give this one another durable name", transport.ErrRefused)
		}
	}
	return nil
}

// firstWait is how long a server takes at most to send the first event, if it has it. If a
// server takes longer, the subscription is opened once more than needed.
const firstWait = 500 * time.Millisecond

// openSubscription opens a subscription, as the supervisor decided.
func (c *conn) openSubscription(e effect) {
	sub := e.sub.shell
	if e.inner != nil { // so that the server sends again at once what it had sent into a connection that is gone
		if err := e.inner.Close(); isUnheard(err) || isForgotten(err) {
			c.step(func(sup *supervisor) { sup.onOpened(e.sub, e.epoch, e.sessionNo, e.inner, err) })
			return
		}
	}
	inner, err := e.session.subscribe(sub.nextConfig(), func(d transport.Delivery) { sub.receive(e.epoch, d) })
	if err == nil {
		c.permissions.noteOpen(sub.config.Subject, inner)
	}
	if err == nil && sub.awaitsFirst() {
		c.later(firstWait, func() { sub.checkStoreAgain(e.epoch) })
	}
	c.step(func(sup *supervisor) { sup.onOpened(e.sub, e.epoch, e.sessionNo, inner, err) })
}

// explainSubscribe says what the server's error for a subscription means, and what helps.
func explainSubscribe(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrForbidden):
		return err
	case strings.Contains(err.Error(), errTooManySubscriptions):
		return fmt.Errorf("%w: %w; raise the server's limit of subscriptions (-msu; 0 for none), or delete the durables that nobody uses any more "+
			"(DeleteDurable), which count", transport.ErrRefused, err)
	case strings.Contains(err.Error(), errTooManyChannels):
		return fmt.Errorf("%w: %w%s", transport.ErrRefused, err, remedyOfChannels)
	case err.Error() == errDuplicateDurable:
		return fmt.Errorf("%w: another subscription of this client holds the durable; close that one, or give this one another durable name: %w", transport.ErrRefused, err)
	default:
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	}
}

// subscription implements [transport.Subscription]. It outlives the sessions in
// which it is open.
type subscription struct {
	*lifecycle.Ending

	conn    *conn
	config  transport.SubscribeConfig
	deliver func(transport.Delivery)
	state   *subscriptionState
	reopen  func()     // has the supervisor open it anew; does not wait
	asked   chan error // what became of the first attempt to open it
	joined  time.Time  // when it was asked for

	intake    sync.Mutex // held while a message is handed up
	stopped   bool
	opened    bool    // it was open once
	reopening bool    // it is about to be opened at another position
	emptied   bool    // the store was lost, and a subscription without a durable begins anew in the new one
	place     *place  // how far it has come
	resume    *resume // where to go on without a durable; nil with one

	telling sync.Mutex // guards what follows
	untold  loss       // what was removed and is not told yet
	pausing bool       // something was told just now
}

// nextConfig returns what to ask the server for when the subscription is opened next.
func (s *subscription) nextConfig() transport.SubscribeConfig {
	s.intake.Lock()
	defer s.intake.Unlock()
	config := s.config
	top, topTime := s.place.at()
	switch {
	case !s.opened:
	case s.emptied:
		config.Start = s.startAnew()
	case s.resume != nil && top > 0:
		config.Start = s.resume.start(top, topTime)
	case config.Start.Kind() == transport.StartNewOnly || config.Start.Kind() == transport.StartLastReceived:
		// It counts only where the server has lost the durable: what was stored since
		// must not be skipped.
		config.Start = transport.Since(s.joined)
	}
	s.opened, s.reopening = true, false
	return config
}

// startAnew returns the position to begin at in another store: what was stored before the
// subscription's own start is not wanted there either, such as the history in a store that was
// restored from a backup.
func (s *subscription) startAnew() transport.Position {
	switch start := s.config.Start; start.Kind() {
	case transport.StartNewOnly, transport.StartLastReceived:
		return transport.Since(s.joined)
	case transport.StartTime, transport.StartAgo:
		return transport.Since(start.Time(s.joined))
	default:
		return transport.All
	}
}

// receive takes in a delivery that the server sent in that epoch.
func (s *subscription) receive(epoch uint64, d transport.Delivery) {
	s.intake.Lock()
	defer s.intake.Unlock()
	if s.stopped || s.reopening || epoch != s.conn.epoch.Load() {
		return // the server delivers it again, here or to another member
	}
	var lost loss
	if s.resume != nil {
		anchor := s.resume.asked()
		top, _ := s.place.at()
		switch s.resume.take(d) {
		case known:
			_ = d.Settler.Ack()
			return
		case emptied:
			// The deliveries behind this one are dropped, too: they come again in their order,
			// from the first event in the new store on.
			s.lostStore(top)
			s.place.restart()
			s.emptied, s.reopening = true, true
			s.reopen()
			return
		case skipped:
			s.reopening = true
			s.reopen()
			return
		case fresh:
			if anchor > 0 && d.Sequence > anchor { // the server has removed it, and what is between the two
				lost = s.place.beginsAt(d.Sequence)
			}
		}
	}
	s.notice(d, lost)
	if s.config.Group == "" {
		d.Settler = &placed{d.Settler, s, d.Sequence}
	}
	s.deliver(d)
}

// awaitsFirst reports whether checkStoreAgain is to be called after firstWait.
func (s *subscription) awaitsFirst() bool { return s.resume != nil && s.resume.awaitsFirst() }

// checkStoreAgain asks for another event if nothing has come since the subscription was
// opened in that epoch: the server had the time to send what it was asked for.
func (s *subscription) checkStoreAgain(epoch uint64) {
	s.intake.Lock()
	defer s.intake.Unlock()
	if s.stopped || s.reopening || epoch != s.conn.epoch.Load() || !s.resume.checkStoreAgain() {
		return
	}
	s.reopening = true
	s.reopen()
}

// notice reports what the sequence of a delivery shows: that the store was lost, or that the
// server removed events because of its limits. lost is what is known to be removed already.
func (s *subscription) notice(d transport.Delivery, lost loss) {
	top, _ := s.place.at()
	more, emptied := s.place.take(d.Sequence, d.Timestamp, d.Redelivered)
	if emptied {
		s.lostStore(top)
	}
	s.tellRemoved(lost.and(more))
}

// lostStore tells that the store is another one. top is the highest sequence before.
func (s *subscription) lostStore(top uint64) {
	s.conn.tell(transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf("sequences of %s begin anew: the server came back with a store that is empty or older, "+
		"and what it had stored beyond it, up to %d, is lost", s.config.Subject, top)})
}

// voidDeliveries says that what was delivered and nobody has begun comes again.
func (s *subscription) voidDeliveries() {
	if s.config.Interrupted != nil {
		s.config.Interrupted()
	}
}

// AckWait is what was asked for: the server lets each member of a group have its own.
func (s *subscription) AckWait() time.Duration { return s.config.AckWait }

func (s *subscription) Stop() {
	s.intake.Lock()
	s.stopped = true
	s.intake.Unlock()
}

func (s *subscription) Close(ctx context.Context) error {
	s.Stop()
	if !s.Finish(transport.ErrClosed) {
		return nil // it was closed before, or with its connection
	}
	s.conn.Leave(s.Ending)
	s.flushRemoved()
	return s.leave(ctx)
}

// leave removes the subscription, and tells the server if there is a connection.
func (s *subscription) leave(ctx context.Context) error {
	var inner stan.Subscription
	var sessionNo uint64
	s.conn.step(func(sup *supervisor) { inner, sessionNo = sup.remove(s.state), sup.sessionNo })
	if inner == nil {
		return nil // there is no session, or the supervisor closes it
	}
	// The acknowledgements are in the same buffer as the close request behind them, and the
	// server takes them in before it carries out that request (its StanServer.barrier).
	_, err := await.Do(ctx, func() (struct{}, error) {
		err := inner.Close()
		s.conn.step(func(sup *supervisor) { sup.onInnerClosed(inner, sessionNo, err) })
		return struct{}{}, err
	}, nil)
	if err != nil && !isUnconnected(err) && s.conn.Err() == nil {
		return fmt.Errorf("the server did not confirm the end of the subscription and may deliver to it for a while: %w", err)
	}
	return nil
}

func delivery(m *stan.Msg) transport.Delivery {
	return transport.Delivery{
		Subject:     m.Subject,
		Sequence:    m.Sequence,
		Timestamp:   time.Unix(0, m.Timestamp),
		Redelivered: m.Redelivered,
		Deliveries:  int(m.RedeliveryCount) + 1, // the server counts from its own start
		Data:        m.Data,
		Settler:     (*settler)(m),
	}
}

// settler is the message itself, so that a delivery costs no allocation more.
type settler stan.Msg

func (s *settler) Ack() error {
	inner, known := s.Sub.(*innerSubscription)
	if !known {
		return transport.ErrSubscriptionClosed
	}
	return inner.ack(s.Sequence, s.Timestamp)
}

func (*settler) Nak(time.Duration) error { return transport.ErrUnsupported }
func (*settler) InProgress() error       { return transport.ErrUnsupported }
func (*settler) Term(string) error       { return transport.ErrUnsupported }
func (*settler) Release()                {}
