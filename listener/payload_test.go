package listener_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// TestPayloadsInTheLog: only if asked for, and no more than that.
func TestPayloadsInTheLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts          []client.Option
		shows, leaves string
	}{
		"by default": {nil, "sequence=1", "payload"},
		"asked for":  {[]client.Option{client.LogPayloads(12)}, `payload="{\"orderId\":\""`, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, memory.New(memory.NATSStreaming()), c.opts...)
				s.publish("secret")
				stop := s.listen(func(context.Context, expiration, listener.Delivery) error { return errors.New("not today") }, listener.MaxAttempts(2))
				synctest.Wait()
				require.Contains(t, s.log.String(), "tried again")
				require.Contains(t, s.log.String(), c.shows)
				require.NotContains(t, s.log.String(), c.leaves)
				for len(s.broker.Stored(string(events.DeadLetterSubject("payments", expiration{}.Subject())))) == 0 {
					<-s.broker.Changed()
				}
				synctest.Wait()
				require.Contains(t, s.log.String(), "stored as a dead letter")
				require.NotContains(t, s.log.String(), c.leaves)
				stop()
				require.NoError(t, s.client.Close(t.Context()))
			})
		})
	}
	_, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.LogPayloads(0))
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "option LogPayloads: 0; must be positive")
}
