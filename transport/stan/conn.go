package stan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// conn implements [transport.Conn] on one stan.Conn and the NATS connection
// below it, which it owns.
type conn struct {
	cfg transport.Config
	log *slog.Logger
	nc  *nats.Conn
	sc  stan.Conn

	publishes publishes
	forbidden forbidden

	mu   sync.Mutex
	up   bool // connected, and Close was not called: an end is a loss
	subs map[*subscription]struct{}
	done chan struct{} // closed when err is set
	err  error
}

func newConn(cfg transport.Config) *conn {
	return &conn{cfg: cfg, log: cfg.Logger, subs: make(map[*subscription]struct{}), done: make(chan struct{})}
}

func (c *conn) Features() transport.Features {
	return transport.Features{AckWaitUnit: time.Second}
}

func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end makes err the end of the connection and of its subscriptions, unless it
// ended before. It reports whether it did.
func (c *conn) end(err error) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return false
	}
	c.err = err
	subs := c.subs
	c.subs = nil
	close(c.done)
	c.mu.Unlock()
	for s := range subs {
		s.finish(err)
	}
	return true
}

// connected makes the connection one that can be lost.
func (c *conn) connected(sc stan.Conn) {
	c.mu.Lock()
	c.sc = sc
	c.up = true
	c.mu.Unlock()
	if c.nc.IsClosed() { // before that
		c.lost(c.nc.LastError())
	}
}

// enter ties a subscription's end to the connection's.
func (c *conn) enter(s *subscription) {
	c.mu.Lock()
	err := c.err
	if err == nil {
		c.subs[s] = struct{}{}
	}
	c.mu.Unlock()
	if err != nil {
		s.finish(err)
	}
}

func (c *conn) leave(s *subscription) {
	c.mu.Lock()
	delete(c.subs, s)
	c.mu.Unlock()
}

// lost ends the connection because stan.go gave it up. It is called from
// goroutines of stan.go and nats.go.
func (c *conn) lost(cause error) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	if !up {
		return // it is our own doing, or an attempt to connect that failed
	}
	if cause == nil {
		cause = nats.ErrConnectionClosed
	}
	err := fmt.Errorf("%w: %w", transport.ErrConnectionLost, cause)
	c.publishes.close(err) // before anyone can see that it has ended
	if !c.end(err) {
		return
	}
	c.log.Error("connection to the streaming server lost for good", slog.Any("error", cause))
	c.publishes.failAll(fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err))
	c.nc.Close()
}

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.up {
		c.mu.Unlock()
		return nil
	}
	c.up = false
	c.mu.Unlock()

	c.publishes.close(transport.ErrClosed)
	flushed := c.publishes.drain(ctx)
	if !c.end(transport.ErrClosed) {
		return nil // it was lost before, and is closed
	}
	// The close request makes the server forget the client at once, so that it
	// stops delivering to it. When ctx is done it is sent all the same, and the
	// NATS connection closed behind it, but not waited for.
	_, err := await.Do(ctx, func() (struct{}, error) {
		defer c.nc.Close()
		return struct{}{}, c.sc.Close()
	}, nil)
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		err = fmt.Errorf("the server did not confirm the end of client %q and may deliver to it for a while: %w", c.cfg.ClientID, err)
	} else {
		err = nil
	}
	c.publishes.failAll(fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, transport.ErrClosed))
	return errors.Join(flushed, err)
}
