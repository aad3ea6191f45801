package stan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

const (
	// requestWait bounds each request to the streaming server: connecting,
	// subscribing, closing. It is stan.go's own default.
	requestWait = 2 * time.Second

	// pubAckWait is longer than anyone waits for a confirmation: the publisher's own
	// deadline ends the wait, through Abandon. It is not for ever, since stan.go keeps
	// a timer for that long, and by it some hundred bytes, not the payload, and the
	// connection: of each publish that was abandoned and is never answered, and of the
	// few (1 in 10,000 at most, measured without a network between) that are confirmed
	// before stan.go has set the timer.
	pubAckWait = time.Hour

	// The window of publishes in flight is the client's, and stan.go's, in which a
	// publish blocks regardless of any context, must never be reached. It is the
	// capacity of a channel of empty structs, which takes no memory.
	maxPubAcksInflight = 1 << 30
)

// connect makes one attempt.
func connect(ctx context.Context, cfg transport.Config, opts options) (transport.Conn, error) {
	c := newConn(cfg)
	nc, err := natsconn.Connect(ctx, cfg, c.watch.Apply, opts.nats)
	if err != nil {
		return nil, err
	}
	c.nc = nc

	sc, err := await.Do(ctx, func() (stan.Conn, error) {
		sc, err := stan.Connect(cfg.ClusterID, cfg.ClientID, c.stanOptions()...)
		if err != nil {
			nc.Close()
		}
		return sc, err
	}, func(stan.Conn) {
		// No close request: it names the client ID alone, and would end a client that
		// has connected under it meanwhile. The server finds out that nobody answers.
		nc.Close()
	})
	if err != nil {
		return nil, c.explain(err, cfg)
	}
	c.sc = sc
	c.Begin()
	if nc.IsClosed() { // before that
		c.lost(nc.LastError())
	}
	return c, nil
}

// stanOptions are the options of the streaming connection on c's NATS connection.
func (c *conn) stanOptions() []stan.Option {
	return []stan.Option{
		stan.NatsConn(c.nc),
		stan.ConnectWait(requestWait),
		stan.PubAckWait(pubAckWait),
		stan.MaxPubAcksInflight(maxPubAcksInflight),
		stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { c.lost(err) }),
	}
}

// explain says what a failed connect request means.
func (c *conn) explain(err error, cfg transport.Config) error {
	if forbidden := c.watch.Forbidden(); forbidden != nil {
		return fmt.Errorf("%w for client %q: %w", transport.ErrForbidden, cfg.ClientID, forbidden)
	}
	switch {
	case errors.Is(err, stan.ErrConnectReqTimeout),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no streaming server with cluster ID %q behind %s: %w",
			transport.ErrNoCluster, cfg.ClusterID, natsconn.Redact(cfg.URL), err)
	case err.Error() == errClientIDRegistered:
		return fmt.Errorf("%w: %q in cluster %q: %w", transport.ErrClientIDTaken, cfg.ClientID, cfg.ClusterID, err)
	case err.Error() == errInvalidClientID:
		return fmt.Errorf("%w client ID %q: %w", transport.ErrInvalid, cfg.ClientID, err)
	default:
		return fmt.Errorf("%w: cluster %q behind %s: %w", transport.ErrRefused, cfg.ClusterID, natsconn.Redact(cfg.URL), err)
	}
}

// Texts of the server's answers: the protocol carries no code. They stand in
// server/server.go of nats-streaming-server, which does not change any more.
const (
	errClientIDRegistered = "stan: clientID already registered"
	errInvalidClientID    = "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed"
)
