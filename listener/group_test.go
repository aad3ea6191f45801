package listener_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("too many channels")
		good, bad := &fakeconn.Conn{}, &fakeconn.Conn{SubscribeError: refused}
		goodClient, _ := build(t, good)
		badClient, _ := build(t, bad)
		h := func(context.Context, expiration, listener.Delivery) error { return nil }
		l1, err := listener.New(goodClient, "g", h)
		require.NoError(t, err)
		l2, err := listener.New(badClient, "g", h)
		require.NoError(t, err)

		err = listener.Run(t.Context(), l1, l2) // one that fails drains the other
		require.ErrorIs(t, err, refused)
		var typed *listener.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, subjects.ExpirationComplete, typed.Subject)
		require.Equal(t, "g", typed.Group)

		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		require.NoError(t, listener.Run(ctx, l1))
		require.ErrorIs(t, listener.Run(t.Context()), client.ErrInvalid)
		require.ErrorContains(t, listener.Run(t.Context(), l1, nil), "listener 2 of 2: nil")
		require.ErrorContains(t, listener.Run(t.Context(), l1, client.RunnerFunc(nil)), "listener 2 of 2: nil")
	})
}
