package stan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/inflight"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// conn implements [transport.Conn] on one stan.Conn and the NATS connection
// below it, which it owns.
type conn struct {
	*lifecycle.Life

	cfg   transport.Config
	log   *slog.Logger
	watch natsconn.Watch
	nc    *nats.Conn
	sc    stan.Conn

	publishes inflight.Publishes[struct{}]
}

func newConn(cfg transport.Config) *conn {
	c := &conn{Life: lifecycle.New(), cfg: cfg, log: cfg.Logger}
	c.watch = natsconn.Watch{Log: c.log, Closed: c.lost}
	return c
}

func (c *conn) Features() transport.Features {
	return transport.Features{AckWaitUnit: time.Second}
}

// Ping implements [transport.Conn]: it asks for the streaming server, not only for
// the NATS server that it runs on.
func (c *conn) Ping(context.Context) error {
	return transport.ErrUnsupported // until the session is supervised
}

// lost ends the connection because stan.go gave it up. It is called from
// goroutines of stan.go and nats.go.
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
	c.log.Error("connection to the streaming server lost for good", slog.Any("error", cause))
	c.abandonAll(err)
	c.nc.Close()
}

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	if !c.Closing() {
		return nil
	}
	c.publishes.Close(transport.ErrClosed)
	flushed := c.publishes.Drain(ctx)
	if !c.End(transport.ErrClosed) {
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
	c.abandonAll(transport.ErrClosed)
	return errors.Join(flushed, err)
}

// abandonAll settles the publishes that are left. All of them have left for the
// server: Publish does not keep any back.
func (c *conn) abandonAll(err error) {
	unknown := fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err)
	c.publishes.SettleAll(func(struct{}) error { return unknown })
}
