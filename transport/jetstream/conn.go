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
	"github.com/sgtickets/common/transport/internal/inflight"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// requestWait bounds each request to JetStream's API: that of nats.go itself.
const requestWait = 5 * time.Second

// conn implements [transport.Conn] on one NATS connection, which it owns.
type conn struct {
	*lifecycle.Life
	*natsconn.Separate // the NATS connection of the client's author

	cfg     transport.Config
	options options
	log     *slog.Logger
	watch   natsconn.Watch
	nc      *nats.Conn
	js      js.JetStream
	prefix  string // of the subjects of JetStream's API

	publishes inflight.Publishes[publish]
	outbox    outbox
	acks      string   // prefix of the subjects on which publishes are answered
	expected  []string // the header of all publishes that names the stream

	maxPayload atomic.Int64 // of the server connected to last

	finding    chan struct{} // held by who looks for the stream
	minding    atomic.Bool   // somebody minds it
	streamless rateLimit
	silent     rateLimit

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
	c.outbox.begin()
	c.watch = natsconn.Watch{Log: c.log, Notify: cfg.Notify, Disconnected: c.disconnected, Reconnected: c.reconnected, Closed: c.lost}
	nc, err := natsconn.Connect(ctx, cfg, c.watch.Apply, o.nats)
	if err != nil {
		return nil, err
	}
	c.nc = nc
	c.maxPayload.Store(nc.MaxPayload())
	if err := c.begin(ctx); err != nil {
		nc.Close()
		return nil, c.explain(err)
	}
	c.Begin()
	c.background(c.write)
	if nc.IsClosed() { // before that
		c.lost(nc.LastError())
	}
	return c, nil
}

// begin sets up what needs the server.
func (c *conn) begin(ctx context.Context) (err error) {
	opts := []js.JetStreamOpt{js.WithDefaultTimeout(requestWait)}
	if c.options.domain == "" {
		c.prefix = js.DefaultAPIPrefix
		c.js, err = js.New(c.nc, opts...)
	} else {
		c.prefix = "$JS." + c.options.domain + ".API."
		c.js, err = js.NewWithDomain(c.nc, c.options.domain, opts...)
	}
	if err != nil {
		return err
	}
	if err := c.ensureStream(ctx); err != nil {
		return err
	}
	return c.listenForAcks()
}

// request calls JetStream's API within the time for a request.
func request[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	v, err := call(bounded)
	if err != nil && ctx.Err() != nil {
		return v, await.Cause(ctx)
	}
	return v, err
}

func (c *conn) Features() transport.Features {
	return transport.Features{Headers: true, Nak: true, InProgress: true, Term: true, Deduplicate: true, Wildcards: true}
}

// Ping implements [transport.Conn]: it asks for the stream.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.Err(); err != nil {
		return err
	}
	if _, err := request(ctx, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) }); err != nil {
		if errors.Is(err, js.ErrStreamNotFound) {
			c.mindStream()
		}
		return c.explain(err)
	}
	return nil
}

// disconnected and reconnected are called on a goroutine of nats.go.
func (c *conn) disconnected(error) { c.outbox.cut.Store(c.outbox.generation.Load()) }

// reconnected: what waits is sent again, also while Close waits for it. What went
// into the connection that is gone may be stored; its message ID keeps it from
// being stored twice, as long as the server remembers it.
func (c *conn) reconnected() {
	c.outbox.generation.Add(1)
	c.outbox.replace(c.publishes.Tickets())
	if !c.Up() {
		return
	}
	c.mindStream()
	for _, s := range c.subscriptions() {
		s.reconnected()
	}
}

// lost ends the connection because nats.go gave it up, which it does when the
// server refuses the credentials again and again.
func (c *conn) lost(cause error) {
	if !c.Up() {
		return // it is our own doing, or an attempt to connect that failed
	}
	if cause == nil {
		cause = nats.ErrConnectionClosed
	}
	err := fmt.Errorf("%w: %w", transport.ErrConnectionLost, cause)
	c.publishes.Close(err) // before anyone can see that it has ended
	if !c.End(err) {
		return
	}
	c.log.Error("connection to the NATS server lost for good", slog.Any("error", cause))
	c.abandonAll(err)
}

// background runs f in a goroutine that Close waits for.
func (c *conn) background(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.running.Go(f)
	}
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
	c.publishes.Close(transport.ErrClosed)
	errs := []error{c.publishes.Drain(ctx, func(p *publish) string { return p.message.Subject })}
	for _, s := range c.subscriptions() {
		errs = append(errs, s.Close(ctx))
	}
	errs = append(errs, c.CloseNATS(ctx))
	if !c.End(transport.ErrClosed) {
		return nil // it was lost before, and is closed
	}
	c.abandonAll(transport.ErrClosed)
	c.nc.Close()
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.running.Wait()
	c.watch.Tell(transport.Event{Kind: transport.Closed})
	return errors.Join(errs...)
}

// abandonAll settles the publishes that are left.
func (c *conn) abandonAll(err error) {
	c.publishes.SettleAll(func(p *publish) error { return fmt.Errorf("%w: %w", p.abandoned(), err) })
}
