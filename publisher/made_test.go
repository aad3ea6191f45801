package publisher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

func TestClientThatBuildDidNotMake(t *testing.T) {
	t.Parallel()
	for _, c := range []*client.Client{nil, new(client.Client)} {
		_, err := publisher.New[events.ExpirationComplete](c)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.EqualError(t, err, "new publisher of expiration:complete: invalid client: nil; make one with client.Build or client.FromEnv")
		_, err = publisher.NewRaw(c)
		require.EqualError(t, err, "new raw publisher: invalid client: nil; make one with client.Build or client.FromEnv")
	}
}

// TestPendingThatIsNone: the nil that PublishAsync returns with an error.
func TestPendingThatIsNone(t *testing.T) {
	t.Parallel()
	var none *publisher.Pending
	<-none.Done()
	for _, err := range []error{none.Err(), none.Wait(t.Context())} {
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "invalid Pending: nil; PublishAsync returned an error instead")
	}
}

func TestWaitWithoutContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var none context.Context // nil, as a field that was never set
		broker := memory.New()
		c, err := client.Build(t.Context(), "ticketing", "me", "", client.Transport(broker.Dialer()))
		require.NoError(t, err)
		p, err := publisher.New[events.ExpirationComplete](c)
		require.NoError(t, err)
		broker.DelayNext(time.Second)
		pending, err := p.PublishAsync(t.Context(), events.ExpirationComplete{OrderID: "o1"})
		require.NoError(t, err)
		err = pending.Wait(none)
		require.ErrorIs(t, err, publisher.ErrPending)
		require.ErrorContains(t, err, "invalid context: nil; use context.Background()")
		require.NoError(t, pending.Wait(t.Context()))
		require.NoError(t, pending.Wait(none), "it is decided")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestNilInOptions(t *testing.T) {
	t.Parallel()
	c, err := client.Build(t.Context(), "ticketing", "me", "", client.Transport(memory.New().Dialer()))
	require.NoError(t, err)
	var json *codec.JSON
	for text, option := range map[string]publisher.Option{
		"option Codec: nil": publisher.Codec(json), "option Observe: nil": publisher.Observe(observe.Func(nil)),
	} {
		_, err := publisher.New[events.ExpirationComplete](c, option)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	require.NoError(t, c.Close(t.Context()))
}
