package client

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// Client is the connection of a service to its broker. A process needs one: any number of
// publishers and listeners share it. It is safe for concurrent use. Of a nil *Client, and of
// the zero value, all errors match [ErrInvalid].
type Client struct {
	clusterID string
	clientID  string
	session   *session.Session
	monitor   *monitor

	components   components
	closeTimeout time.Duration // of Run

	closing  atomic.Bool
	closed   chan struct{} // closed when closeErr is set
	closeErr error
}

// ClusterID returns the cluster ID that the client was built with.
func (c *Client) ClusterID() string {
	if !c.made() {
		return ""
	}
	return c.clusterID
}

// ClientID returns the client ID under which the server knows the client.
func (c *Client) ClientID() string {
	if !c.made() {
		return ""
	}
	return c.clientID
}

// Done returns a channel that is closed when the client is over: closed by Close, or its
// connection lost for good.
func (c *Client) Done() <-chan struct{} {
	if !c.made() {
		return over
	}
	return c.session.Conn.Done()
}

// Err returns nil until Done is closed, and then why: [ErrClosed] after Close,
// else an error that matches [ErrConnectionLost].
func (c *Client) Err() error {
	if !c.made() {
		return errNotMade
	}
	return c.session.Conn.Err()
}

// Features returns what the client's broker can do. It does not change.
func (c *Client) Features() transport.Features {
	if !c.made() {
		return transport.Features{}
	}
	return c.session.Conn.Features()
}

// Close drains the client: the listeners take no more events, and their running handlers,
// which may still publish, finish within the listener's DrainTimeout; acknowledgements and
// publishes in flight are sent and confirmed; then the connection is closed and the server
// forgets the client. Components end, and what [Client.NATSConn] opened is closed. Durables
// are kept.
//
// When ctx is done, Close stops waiting. It returns within 0.1 s, with an error that names
// what was unfinished: events by subject and sequence, publishes by subject. Closing again
// waits for the first call and returns its error, or returns ctx's when that is done first.
// [Run] closes the client by itself.
func (c *Client) Close(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if c.closing.CompareAndSwap(false, true) {
		c.closeErr = c.session.Close(ctx)
		c.noticeEnd()
		c.components.close()
		close(c.closed)
		return c.closeErr
	}
	select {
	case <-c.closed:
		return c.closeErr
	case <-ctx.Done():
		return await.Cause(ctx)
	}
}
