package listener

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/transport"
)

// deleteDurable deletes the durable of the listener, while it does not listen.
func (c *core) deleteDurable(ctx context.Context) error {
	if c.options.durable == "" {
		return fmt.Errorf("%w: the listener has no durable to delete", transport.ErrInvalid)
	}
	release, err := c.claim()
	if err != nil {
		return err
	}
	defer release()
	return c.session.Conn.DeleteDurable(ctx, c.subscribeConfig())
}
