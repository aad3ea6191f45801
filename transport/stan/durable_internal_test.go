package stan

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// lateServer confirms a subscription when it is told to.
type lateServer struct {
	stan.Conn

	confirm      chan struct{}
	unsubscribed int
}

func (s *lateServer) QueueSubscribe(string, string, stan.MsgHandler, ...stan.SubscriptionOption) (stan.Subscription, error) {
	<-s.confirm
	return &lateSubscription{server: s}, nil
}

type lateSubscription struct {
	stan.Subscription

	server *lateServer
}

func (s *lateSubscription) Unsubscribe() error {
	s.server.unsubscribed++
	return nil
}

// TestDeleteDurableEndsWithItsContext, and what joined the durable to delete it
// leaves it again when the server confirms it after all.
func TestDeleteDurableEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &lateServer{confirm: make(chan struct{})}
		c := newConn(transport.Config{})
		c.sc = server
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		err := c.DeleteDurable(ctx, transport.SubscribeConfig{Subject: "s", Durable: "d", Group: "g"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(started))
		close(server.confirm)
		synctest.Wait()
		require.Equal(t, 1, server.unsubscribed)
	})
}
