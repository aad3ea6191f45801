package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// conn implements [transport.Conn] on one NATS connection, which it owns.
type conn struct {
	*lifecycle.Life
	*natsconn.Separate // the NATS connection of the client's author

	cfg         transport.Config
	options     options
	log         *slog.Logger
	watch       natsconn.Watch
	permissions permissions
	link        link
	nc          *nats.Conn
	js          js.JetStream
	prefix      string // of the subjects of JetStream's API

	sender   *sender
	expected []string                  // the header of all publishes that names the stream
	own      atomic.Pointer[ownStream] // whose answers decide publishes
	foreign  foreign                   // answers of others

	finding     chan struct{} // held by the goroutine that looks for the stream
	minding     atomic.Bool   // a goroutine of mindStream runs
	unavailable unavailable
	streamless  rateLimit
	silent      rateLimit

	typeWarnings typeWarnings

	adder    subjectAdder
	subjects atomic.Pointer[subjectSet] // the stream's, as they were last seen

	mu          sync.Mutex
	stream      js.StreamConfig // as it was last seen
	created     time.Time       // of that stream: one that was made anew is another; zero: it is gone
	subs        map[*subscription]struct{}
	held        map[string]struct{} // durables without a group: one subscription each
	silentSince time.Time           // since when JetStream's API does not answer; zero: it does
	over        bool                // no goroutine is begun any more
	running     sync.WaitGroup      // goroutines of the connection
}

// connect makes one attempt.
func connect(ctx context.Context, cfg transport.Config, o options) (transport.Conn, error) {
	c := &conn{
		Life: lifecycle.New(), Separate: natsconn.NewSeparate(cfg, o.nats), cfg: cfg, options: o, log: cfg.Logger,
		subs: make(map[*subscription]struct{}), held: make(map[string]struct{}),
		finding: make(chan struct{}, 1), expected: []string{cfg.ClusterID},
	}
	c.sender = newSender(publishPolicy(c.repeatWindow))
	c.sender.onSilence = c.mindSubject
	c.watch = natsconn.Watch{Log: c.log, Notify: cfg.Notify, Disconnected: c.onDisconnect, Reconnected: c.onReconnect, Closed: c.onClosed, Violated: c.violated}
	nc, err := natsconn.Connect(ctx, cfg, c.watch.Apply, o.nats)
	if err != nil {
		return nil, err
	}
	c.nc = nc
	c.sender.check = func(ctx context.Context) error { return c.watch.Check(ctx, nc) }
	c.sender.attach(nc, nc.NewInbox()+".")
	if err := c.begin(ctx); err != nil {
		nc.Close()
		err = c.explain(err)
		c.End(err) // for the goroutines that have begun
		return nil, err
	}
	c.Begin()
	c.background(func() { c.sender.write(c.Done()) })
	if nc.IsClosed() { // it was closed before Begin, when onClosed does nothing
		c.onClosed(nc.LastError())
	}
	return c, nil
}

// begin sets up what needs the server.
func (c *conn) begin(ctx context.Context) (err error) {
	opts := []js.JetStreamOpt{js.WithDefaultTimeout(requestWait)}
	switch {
	case c.options.apiPrefix != "":
		c.prefix = c.options.apiPrefix + "."
		c.js, err = js.NewWithAPIPrefix(c.nc, c.options.apiPrefix, opts...)
	case c.options.domain == "":
		c.prefix = js.DefaultAPIPrefix
		c.js, err = js.New(c.nc, opts...)
	default:
		c.prefix = "$JS." + c.options.domain + ".API."
		c.js, err = js.NewWithDomain(c.nc, c.options.domain, opts...)
	}
	if err != nil {
		return err
	}
	c.js = checkedAPI{c.js}
	if err := c.ensureStream(ctx); err != nil {
		return err
	}
	return c.listenForAnswers()
}

func (c *conn) Features() transport.Features {
	return transport.Features{Headers: true, Nak: true, InProgress: true, Term: true, Deduplicate: true, Wildcards: true}
}

// Ping implements [transport.Conn]. It asks the server for the stream, and does not wait for a
// connection that is away: who asks whether all is well wants to know.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.Err(); err != nil {
		return err
	}
	if _, err := requestOnce(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) }); err != nil {
		if errors.Is(err, js.ErrStreamNotFound) {
			c.mindStream()
		}
		return c.explain(err)
	}
	return nil
}

// onDisconnect, onReconnect and onClosed are called on a goroutine of nats.go.
func (c *conn) onDisconnect(error) {
	c.link.onDisconnect()
	c.sender.onDisconnect()
}

// onReconnect has the sender send again what is pending, also while Close waits for it.
func (c *conn) onReconnect() {
	c.link.onReconnect()
	c.permissions.beginEpoch()
	c.sender.onReconnect()
	if !c.Up() {
		return
	}
	c.mindStream()
	for _, s := range c.subscriptions() {
		s.reconnected()
	}
}

// onClosed ends the connection because nats.go gave it up. It reconnects for ever, so that
// only the caller's own use of its options can bring that about.
func (c *conn) onClosed(cause error) {
	if !c.Up() {
		return // Close did it, or connect, whose attempt failed
	}
	if cause == nil {
		cause = nats.ErrConnectionClosed
	}
	err := fmt.Errorf("%w: %w", transport.ErrConnectionLost, cause)
	c.sender.close(err) // before anyone can see that it has ended
	if !c.End(err) {
		return
	}
	c.log.Error("connection to the NATS server lost for good", slog.Any("error", cause))
	c.sender.end(err)
}

// background runs f in a goroutine that Close waits for.
func (c *conn) background(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.running.Go(f)
	}
}

// whileUp returns a context that ends with the connection.
func (c *conn) whileUp() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-c.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (c *conn) subscriptions() []*subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	subs := make([]*subscription, 0, len(c.subs))
	for s := range c.subs {
		subs = append(subs, s)
	}
	return subs
}

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	if !c.Closing() {
		return nil
	}
	c.sender.close(transport.ErrClosed)
	drained := c.sender.drain(ctx)
	if n := c.foreign.counted(); n > 0 {
		c.log.Warn("answers to publishes that the stream had not written were passed over", slog.String("stream", c.cfg.ClusterID), slog.Uint64("answers", n))
	}
	closed := errors.Join(await.WithGrace(ctx, c.closeSubscriptions), c.CloseNATS(ctx))
	if !c.End(transport.ErrClosed) {
		return nil // it was lost before, and is closed
	}
	c.sender.end(transport.ErrClosed)
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	left := c.leave(ctx)
	c.watch.Tell(transport.Event{Kind: transport.Closed})
	return errors.Join(drained, closed, left)
}

func (c *conn) closeSubscriptions(ctx context.Context) error {
	subs := c.subscriptions()
	errs := make([]error, 0, len(subs))
	for _, s := range subs {
		errs = append(errs, s.Close(ctx))
	}
	return errors.Join(errs...)
}

// leave closes the NATS connection and waits for the goroutines of the transport. nats.go
// may take long: it holds its lock while it writes into a socket that takes nothing. So what
// has not ended with ctx ends by itself.
func (c *conn) leave(ctx context.Context) error {
	err := await.WithGrace(ctx, func(context.Context) error {
		c.nc.Close()
		c.running.Wait()
		return nil
	})
	if err != nil {
		return fmt.Errorf("the connection to the NATS server did not close in time, and closes by itself: %w", err)
	}
	return nil
}
