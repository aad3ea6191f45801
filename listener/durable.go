package listener

import (
	"context"
	"errors"
	"fmt"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// deletingDurable is what an Error of DeleteDurable says was done.
const deletingDurable = "delete the durable of"

// errDeleting is what Listen and another DeleteDurable return meanwhile.
var errDeleting = errors.New("DeleteDurable is under way; wait until it has returned")

// deleteDurable deletes the durable of the listener, while it does not listen.
func (c *core) deleteDurable(ctx context.Context) error {
	if err := c.tryDeleteDurable(ctx); err != nil {
		return &Error{Subject: c.subject, Group: c.group, Err: err, doing: deletingDurable}
	}
	return nil
}

func (c *core) tryDeleteDurable(ctx context.Context) error {
	if ctx == nil {
		return errNoContext
	}
	if c.options.durable == "" {
		return fmt.Errorf("%w: the listener has no durable to delete", transport.ErrInvalid)
	}
	done, err := c.claim(errDeleting)
	if err != nil {
		return err
	}
	defer done()
	return await.WithGrace(ctx, func(ctx context.Context) error { return c.session.Conn.DeleteDurable(ctx, c.subscribeConfig()) })
}
