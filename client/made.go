package client

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/transport"
)

var (
	// errNotMade is the error of each call on a client that Build did not make.
	errNotMade = fmt.Errorf("%w client: nil; make one with Build or FromEnv", transport.ErrInvalid)
	// errNoContext is the error of a call without a context.
	errNoContext = fmt.Errorf("%w context: nil; use context.Background()", transport.ErrInvalid)
)

// made reports whether Build made the client. A nil one, as a service's own type may hold,
// and the zero value can do nothing: their methods return errNotMade.
func (c *Client) made() bool { return c != nil && c.session != nil }

// check returns why a call on the client with ctx can't begin: nil if it can.
func (c *Client) check(ctx context.Context) error {
	switch {
	case !c.made():
		return errNotMade
	case ctx == nil:
		return fmt.Errorf("client %q: %w", c.clientID, errNoContext)
	default:
		return nil
	}
}

// over is the channel of a client that Build did not make.
var over = func() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}()
