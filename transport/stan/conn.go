package stan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// conn implements [transport.Conn]: the goroutines, timers and connections around
// a supervisor. No fault ends it, only Close does.
type conn struct {
	*lifecycle.Life

	cfg  transport.Config
	user []nats.Option
	log  *slog.Logger

	maxPayload atomic.Int64 // of the server connected to last
	epoch      atomic.Uint64

	mu         sync.Mutex // guards what follows
	supervisor supervisor
	changed    chan struct{} // closed, and made anew, when the phase changes
	timers     map[*time.Timer]struct{}

	writer  chan struct{} // wakes the writer; closed with the connection
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // it is what ends the goroutines of the connection
	stop    context.CancelFunc
}

// connect makes the first attempt; from then on the supervisor does.
func connect(ctx context.Context, cfg transport.Config, o options) (transport.Conn, error) {
	c := newConn(cfg, o.nats)
	w, err := c.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	c.begin(w)
	return c, nil
}

func newConn(cfg transport.Config, user []nats.Option) *conn {
	c := &conn{
		Life: lifecycle.New(), cfg: cfg, user: user, log: cfg.Logger, supervisor: newSupervisor(),
		changed: make(chan struct{}), timers: make(map[*time.Timer]struct{}), writer: make(chan struct{}, 1),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// begin sets out with the first session.
func (c *conn) begin(w stanSession) {
	c.step(func(sup *supervisor) { sup.begin(w) })
	c.Life.Begin()
	c.running.Go(c.write)
	c.checkLink(1, w)
}

// dial begins the session of that number.
func (c *conn) dial(ctx context.Context, session uint64) (stanSession, error) { //nolint:ireturn // the supervisor's seam to stan.go
	watch := &natsconn.Watch{
		Log: c.log,
		Notify: func(e transport.Event) {
			// That a link is gone or back is not all there is to it: the supervisor tells.
			if e.Kind != transport.Disconnected && e.Kind != transport.Reconnected {
				c.tell(e)
			}
		},
		Disconnected: func(err error) {
			if err == nil {
				err = transport.ErrConnectionLost
			}
			c.step(func(sup *supervisor) { sup.onDisconnect(session, err) })
		},
		Reconnected: func() { c.step(func(sup *supervisor) { sup.onReconnect(session) }) },
		Closed: func(err error) {
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			c.step(func(sup *supervisor) {
				sup.onSessionLost(session, fmt.Errorf("%w: %w", transport.ErrConnectionLost, err))
			})
		},
	}
	w, err := dial(ctx, c.cfg, c.user, watch, c.answered)
	if err != nil {
		return nil, err
	}
	c.maxPayload.Store(w.maxPayload())
	return w, nil
}

// checkLink tells the supervisor how the link of a session is: what happened to it
// before the session was the supervisor's, or is about to be reported, may be missed.
func (c *conn) checkLink(session uint64, w stanSession) {
	if !w.connected() {
		c.step(func(sup *supervisor) { sup.onDisconnect(session, transport.ErrConnectionLost) })
		if w.connected() {
			c.step(func(sup *supervisor) { sup.onReconnect(session) })
		}
	}
}

// step tells the supervisor what has happened, and does what it decides.
func (c *conn) step(happened func(*supervisor)) {
	c.mu.Lock()
	before := c.supervisor.phase
	happened(&c.supervisor)
	effects := c.supervisor.takeEffects()
	c.epoch.Store(c.supervisor.epoch)
	if c.supervisor.phase != before {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	c.mu.Unlock()
	for _, e := range effects {
		c.perform(e)
	}
}

// perform does what the supervisor decided. It does not wait.
func (c *conn) perform(e effect) {
	switch e.do {
	case dialSession:
		c.background(func() {
			ctx, cancel := context.WithTimeout(c.ctx, attemptWait)
			defer cancel()
			w, err := c.dial(ctx, e.sessionNo)
			c.step(func(sup *supervisor) { sup.onDialed(w, err) })
			if err == nil {
				c.checkLink(e.sessionNo, w)
			}
		})
	case pauseDialing:
		c.later(e.after, func() { c.step((*supervisor).onDialPauseOver) })
	case checkSession:
		c.later(e.after, func() {
			c.background(func() {
				err := e.session.check(c.ctx)
				c.step(func(sup *supervisor) { sup.onChecked(e.epoch, err) })
			})
		})
	case dropSession:
		go e.session.drop() // which nothing waits for: a socket may take nothing for a while
	case openSubscription:
		c.background(func() { c.join(e) })
	case pauseOpening:
		c.later(e.after, func() { c.step(func(sup *supervisor) { sup.onOpenPauseOver(e.sub) }) })
	case closeInner:
		c.later(e.after, func() {
			c.background(func() {
				err := e.inner.Close()
				c.step(func(sup *supervisor) { sup.onInnerClosed(e.inner, e.sessionNo, err) })
			})
		})
	case voidDeliveries:
		e.sub.shell.void()
	case answerSubscribe:
		e.sub.shell.asked <- e.err
	case notifyOwner:
		if e.sub != nil {
			e.event.Reason = fmt.Sprintf("no events of %s are received: the server does not take the subscription", e.sub.shell.config.Subject)
		}
		c.tell(e.event)
	case wakeWriter:
		c.wake()
	case pausePublishing:
		c.later(e.after, func() { c.step(func(sup *supervisor) { sup.onGraceOver(e.epoch) }) })
	}
}

// attemptWait bounds an attempt to begin a session: nats.go waits for each server
// in turn.
const attemptWait = 10 * time.Second

// wake makes the writer look for what to send.
func (c *conn) wake() {
	select {
	case c.writer <- struct{}{}:
	default: // it will look
	}
}

// tell tells the owner.
func (c *conn) tell(e transport.Event) {
	e.Time = time.Now()
	if c.cfg.Notify != nil {
		c.cfg.Notify(e)
	} else {
		eventlog.Write(c.log, e)
	}
}

// background runs f in a goroutine that Close waits for.
func (c *conn) background(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.supervisor.phase != phaseOver {
		c.running.Go(f)
	}
}

// later calls f after that time, unless the connection is closed by then.
func (c *conn) later(after time.Duration, f func()) {
	if after <= 0 {
		f()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.supervisor.phase == phaseOver {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		c.mu.Lock()
		delete(c.timers, t)
		c.mu.Unlock()
		f()
	})
	c.timers[t] = struct{}{}
}

func (c *conn) Features() transport.Features {
	return transport.Features{AckWaitUnit: time.Second}
}

// session waits until there is one that works, and returns it.
func (c *conn) awaitSession(ctx context.Context) (stanSession, error) { //nolint:ireturn // as dial
	for {
		c.mu.Lock()
		phase, w, changed := c.supervisor.phase, c.supervisor.session, c.changed
		c.mu.Unlock()
		switch phase {
		case phaseUp:
			return w, nil
		case phaseOver:
			return nil, transport.ErrClosed
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: no session with the streaming server (%v): %w", transport.ErrConnectionLost, phase, await.Cause(ctx))
		}
	}
}

// Ping implements [transport.Conn]: it asks the streaming server, not only the NATS
// server that it runs on, and whether it knows this client.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.Err(); err != nil {
		return err
	}
	w, err := c.awaitSession(ctx)
	if err != nil {
		return err
	}
	_, err = await.Do(ctx, func() (struct{}, error) { return struct{}{}, w.check(ctx) }, nil)
	return err
}

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	if !c.Closing() {
		return nil
	}
	c.mu.Lock()
	c.supervisor.outbox.Close(transport.ErrClosed)
	c.mu.Unlock()
	flushed := c.drain(ctx)
	c.End(transport.ErrClosed)
	c.tell(transport.Event{Kind: transport.Closed})

	c.mu.Lock()
	w, up := c.supervisor.session, c.supervisor.phase == phaseUp
	c.supervisor.end()
	c.epoch.Store(c.supervisor.epoch)
	for t := range c.timers {
		t.Stop()
	}
	tickets := c.supervisor.outbox.Tickets()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.stop()
	close(c.writer)
	for _, t := range tickets {
		c.Abandon(t)
	}
	err := c.leave(ctx, w, up)
	_, _ = await.Do(ctx, func() (struct{}, error) { c.running.Wait(); return struct{}{}, nil }, nil)
	return errors.Join(flushed, err)
}

// leave ends the session. The close request makes the server forget the client at
// once, so that it stops delivering to it; but it names the client ID alone, so
// that one who has been replaced would end its successor. So the server is asked
// first.
func (c *conn) leave(ctx context.Context, w stanSession, up bool) error {
	if w == nil {
		return nil
	}
	if !up {
		up = c.linkBack(ctx, w)
	}
	if !up {
		go w.drop()
		return fmt.Errorf("the server could not be told of the end of client %q, and finds out by itself: there is no connection", c.cfg.ClientID)
	}
	_, err := await.Do(ctx, func() (struct{}, error) {
		if err := w.check(context.Background()); err != nil && !errors.Is(err, transport.ErrUnsupported) {
			w.drop()
			return struct{}{}, err
		}
		return struct{}{}, w.close()
	}, nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknown):
		return nil // it has no client of that ID any more, or another one
	default:
		return fmt.Errorf("the server did not confirm the end of client %q and may deliver to it for a while: %w", c.cfg.ClientID, err)
	}
}

// leaveWait is how long Close waits for a link that is gone, to say goodbye.
const leaveWait = time.Second

// linkBack waits a short while for a link that is being restored.
func (*conn) linkBack(ctx context.Context, w stanSession) bool {
	ctx, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !w.connected() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// drain waits for the publishes under way, until ctx is done.
func (c *conn) drain(ctx context.Context) error {
	c.mu.Lock()
	empty := c.supervisor.outbox.Empty()
	c.mu.Unlock()
	return outbox.Drain(ctx, empty, func() *outbox.Left {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.supervisor.outbox.Left()
	})
}
