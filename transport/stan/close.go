package stan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	if !c.Closing() {
		return nil
	}
	c.mu.Lock()
	c.supervisor.outbox.Close(transport.ErrClosed)
	c.mu.Unlock()
	flushed := errors.Join(c.drain(ctx), c.CloseNATS(ctx))
	c.End(transport.ErrClosed)
	c.tell(transport.Event{Kind: transport.Closed})

	c.mu.Lock()
	session := c.supervisor.session
	c.supervisor.end()
	c.epoch.Store(c.supervisor.epoch)
	for t := range c.timers {
		t.Stop()
	}
	tickets := c.supervisor.outbox.Tickets()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.stop()
	close(c.writer)
	for _, t := range tickets {
		c.Abandon(t)
	}
	err := c.leave(ctx, session)
	_, _ = await.Do(ctx, func() (struct{}, error) { c.running.Wait(); return struct{}{}, nil }, nil)
	return errors.Join(flushed, err)
}

// leave ends the session. The close request makes the server forget the client at once, so
// that it stops delivering to it. But the request names the client ID alone: sent by a
// client that has been replaced, it would end its successor. So the server is asked first
// whether it knows this session.
func (c *conn) leave(ctx context.Context, session stanSession) error {
	if session == nil {
		return nil
	}
	if !c.awaitLink(ctx, session) {
		go session.drop()
		return fmt.Errorf("the server could not be told of the end of client %q, and finds out by itself: there is no connection", c.cfg.ClientID)
	}
	_, err := await.Do(ctx, func() (struct{}, error) {
		if err := session.check(context.Background()); err != nil && !errors.Is(err, transport.ErrUnsupported) && !errors.Is(err, transport.ErrForbidden) {
			session.drop()
			return struct{}{}, err
		}
		return struct{}{}, session.close()
	}, nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknown):
		return nil // it has no client of that ID any more, or another one
	default:
		return fmt.Errorf("the server did not confirm the end of client %q and may deliver to it for a while: %w", c.cfg.ClientID, err)
	}
}

// leaveWait is how long Close waits for a link that is gone, in order to end the session.
const leaveWait = time.Second

// linkRestored wakes awaitLink.
func (c *conn) linkRestored() {
	select {
	case c.linkIsBack <- struct{}{}:
	default: // it will look
	}
}

// awaitLink waits a short while for a link that is being restored, and reports whether it is
// there.
func (c *conn) awaitLink(ctx context.Context, session stanSession) bool {
	ctx, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	for !session.connected() {
		select {
		case <-c.linkIsBack:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// drain waits for the publishes under way, until ctx is done.
func (c *conn) drain(ctx context.Context) error {
	c.mu.Lock()
	empty := c.supervisor.outbox.Empty()
	c.mu.Unlock()
	return outbox.Drain(ctx, empty, func() *outbox.Left {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.supervisor.outbox.Left()
	})
}
