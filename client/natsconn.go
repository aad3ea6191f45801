package client

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

// natsConner is implemented by the connections of transports that run on NATS.
type natsConner interface {
	// NATSConn opens a connection beside the one that carries events, or returns the one
	// that is open.
	NATSConn(ctx context.Context) (*nats.Conn, error)
}

// NATSConn returns a NATS connection for what the library does not do, such as core NATS
// subjects or key-value stores. It is a connection of its own beside the one that carries
// events: whatever is done to it, and whatever happens to it, leaves the events,
// [Client.Status], [Client.Healthy] and [Client.Watch] as they are. What happens to it is
// logged with its name, in the attribute "connection".
//
// The connection is opened by the first call, with the options given to [NATS]: their
// callbacks are called for both connections. Its name is the client ID followed by
// "-nats"; a name given with nats.Name is followed by "-nats", too. It reconnects by itself
// and buffers nothing while it is disconnected. Later calls return the same connection
// while it is open. Once it was closed, or drains, the next call opens another.
//
// NATSConn tries to connect until ctx is done; give it a deadline. Callers that wait at the
// same time share the attempts. Its errors match [ErrClosed] or [ErrConnectionLost] once the
// client is over, [ErrUnsupported] where the client was built with option [Transport], and
// otherwise those of [Build]. [Client.Close] closes the connection after the handlers have
// finished. The caller may close it before. NATSConn is safe for concurrent use.
func (c *Client) NATSConn(ctx context.Context) (*nats.Conn, error) {
	if err := c.check(ctx); err != nil {
		return nil, fmt.Errorf("NATS connection: %w", err)
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("NATS connection of client %q: %w", c.clientID, err)
	}
	conn, ok := c.session.Conn.(natsConner)
	if !ok {
		return nil, fmt.Errorf("NATS connection of client %q: %w: option Transport gave the client a broker without one; "+
			"open a connection with nats.Connect, or build the client without that option", c.clientID, transport.ErrUnsupported)
	}
	nc, err := conn.NATSConn(ctx)
	if err != nil {
		return nil, fmt.Errorf("NATS connection of client %q: %w", c.clientID, err)
	}
	return nc, nil
}
