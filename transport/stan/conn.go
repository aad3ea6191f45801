package stan

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// conn implements [transport.Conn]. It is the shell around a supervisor: it has the
// goroutines, the timers and the connections. No fault ends it, only Close does.
type conn struct {
	*lifecycle.Life
	*natsconn.Separate // the NATS connection of the client's author
	permissions        permissions

	cfg  transport.Config
	user []nats.Option
	log  *slog.Logger

	reminder   backoff.Reminder // of the goroutine that dials
	maxPayload atomic.Int64     // of the server connected to last
	epoch      atomic.Uint64

	mu         sync.Mutex // guards what follows
	supervisor supervisor
	changed    chan struct{} // closed, and made anew, when the phase changes
	timers     map[*time.Timer]struct{}
	places     map[durable]*place // of the durables without a group that this client has listened to

	writer     chan struct{}   // wakes the writer; closed with the connection
	linkIsBack chan struct{}   // gets a value when the NATS connection is back
	running    sync.WaitGroup  // the goroutines that Close waits for
	ctx        context.Context //nolint:containedctx // it is what ends the goroutines of the connection
	stop       context.CancelFunc
}

// connect makes the first attempt to begin a session. Later attempts are the supervisor's.
func connect(ctx context.Context, cfg transport.Config, o options) (transport.Conn, error) {
	c := newConn(cfg, o.nats)
	session, err := c.dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	c.begin(session)
	return c, nil
}

func newConn(cfg transport.Config, user []nats.Option) *conn {
	c := &conn{
		Life: lifecycle.New(), Separate: natsconn.NewSeparate(cfg, user), cfg: cfg, user: user, log: cfg.Logger, supervisor: newSupervisor(),
		changed: make(chan struct{}), timers: make(map[*time.Timer]struct{}), places: make(map[durable]*place), writer: make(chan struct{}, 1),
		reminder: backoff.Reminder{Intervals: natsconn.Reminders}, linkIsBack: make(chan struct{}, 1),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// begin starts the connection with its first session.
func (c *conn) begin(session stanSession) {
	c.step(func(sup *supervisor) { sup.begin(session) })
	c.Life.Begin()
	c.running.Go(c.write)
	c.checkLink(1, session)
}

// dial begins the session of that number.
func (c *conn) dial(ctx context.Context, sessionNo uint64) (stanSession, error) { //nolint:ireturn // the supervisor's seam to stan.go
	watch := &natsconn.Watch{
		Log: c.log,
		Notify: func(e transport.Event) {
			// The supervisor reports a link that is gone or back, when it knows of the session.
			if e.Kind != transport.Disconnected && e.Kind != transport.Reconnected {
				c.tell(e)
			}
		},
		Disconnected: func(err error) {
			if err == nil {
				err = transport.ErrConnectionLost
			}
			c.step(func(sup *supervisor) { sup.onDisconnect(sessionNo, err) })
		},
		Reconnected: func() {
			c.noteMaxPayload() // another server, or the same one after a restart, may have another
			c.step(func(sup *supervisor) { sup.onReconnect(sessionNo) })
			c.linkRestored()
		},
		Violated: func(v natsconn.Violation) { c.violated(sessionNo, v) },
		Closed: func(err error) {
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			c.step(func(sup *supervisor) {
				sup.onSessionLost(sessionNo, fmt.Errorf("%w: %w", transport.ErrConnectionLost, err))
			})
		},
	}
	session, err := dial(ctx, c.cfg, c.user, watch, c.answered)
	if err != nil {
		return nil, err
	}
	c.maxPayload.Store(session.maxPayload())
	return session, nil
}

// checkLink tells the supervisor whether the link of a session is there: the supervisor
// ignores what is reported before it has the session.
func (c *conn) checkLink(sessionNo uint64, session stanSession) {
	c.takeEarly(sessionNo)
	if !session.connected() {
		c.step(func(sup *supervisor) { sup.onDisconnect(sessionNo, transport.ErrConnectionLost) })
		if session.connected() {
			c.step(func(sup *supervisor) { sup.onReconnect(sessionNo) })
		}
	}
}

// step tells the supervisor what has happened, and performs the effects that it decides on.
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

// perform does what the supervisor decided. It does not block.
func (c *conn) perform(e effect) {
	switch e.do {
	case dialSession:
		c.background(func() {
			ctx, cancel := context.WithTimeout(c.ctx, attemptWait)
			defer cancel()
			session, err := c.dial(ctx, e.sessionNo)
			c.remind(err)
			c.step(func(sup *supervisor) { sup.onDialed(session, err) })
			if err == nil {
				c.checkLink(e.sessionNo, session)
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
		go e.session.drop() // nobody waits for it: it may block while the socket takes nothing
	case openSubscription:
		c.background(func() { c.openSubscription(e) })
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
		e.sub.shell.voidDeliveries()
	case answerSubscribe:
		e.sub.shell.asked <- e.err
	case notifyOwner:
		if e.sub != nil {
			e.event.Reason = fmt.Sprintf("no events of %s are received: the server does not take the subscription", e.sub.shell.config.Subject)
		}
		c.tell(e.event)
	case tellOutcome:
		e.outcome.Tell()
	case wakeWriter:
		c.wake()
	case pausePublishing:
		c.later(e.after, func() { c.step(func(sup *supervisor) { sup.onGraceOver(e.epoch) }) })
	}
}

// remind logs at growing intervals that no session could be begun, and why. One attempt is
// under way at a time.
func (c *conn) remind(err error) {
	if err == nil || c.ctx.Err() != nil {
		c.reminder = backoff.Reminder{Intervals: natsconn.Reminders}
		return
	}
	if c.reminder.Due(time.Now(), degradedReason(err)) {
		c.log.Warn("no session with the streaming server yet", slog.Any("error", err))
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

// awaitSession waits until there is a session that works, and returns it.
func (c *conn) awaitSession(ctx context.Context) (stanSession, error) { //nolint:ireturn // as dial
	for {
		c.mu.Lock()
		phase, session, changed := c.supervisor.phase, c.supervisor.session, c.changed
		c.mu.Unlock()
		switch phase {
		case phaseUp:
			return session, nil
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
	session, err := c.awaitSession(ctx)
	if err != nil {
		return err
	}
	_, err = await.Do(ctx, func() (struct{}, error) { return struct{}{}, session.check(ctx) }, nil)
	return err
}
