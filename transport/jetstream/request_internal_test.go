package jetstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// TestRequestWaitsForTheLink: that there is no connection is no answer, and what was asked
// over a link that is lost is asked again over the next, with all its time.
func TestRequestWaitsForTheLink(t *testing.T) {
	t.Parallel()
	up := func() *conn {
		c := &conn{Life: lifecycle.New(), watch: natsconn.Watch{Notify: func(transport.Event) {}}}
		c.Begin()
		return c
	}
	silent := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	for name, play := range map[string]func(t *testing.T){
		"it is away": func(t *testing.T) {
			t.Helper()
			c := up()
			c.link.onDisconnect()
			time.AfterFunc(time.Minute, c.link.onReconnect)
			began := time.Now()
			v, err := request(t.Context(), c, func(context.Context) (int, error) {
				if time.Since(began) < time.Minute {
					return 0, nats.ErrReconnectBufExceeded
				}
				return 7, nil
			})
			require.NoError(t, err)
			require.Equal(t, 7, v)
			require.Equal(t, time.Minute, time.Since(began))
		},
		"it is away, and nobody has said so yet": func(t *testing.T) {
			t.Helper()
			c, calls := up(), 0
			_, err := request(t.Context(), c, func(context.Context) (int, error) {
				calls++
				if calls < 3 {
					return 0, nats.ErrReconnectBufExceeded
				}
				return 0, nil
			})
			require.NoError(t, err)
		},
		"it is lost before the answer": func(t *testing.T) {
			t.Helper()
			c, calls := up(), 0
			time.AfterFunc(4*time.Second, c.link.onDisconnect)
			time.AfterFunc(6*time.Second, c.link.onReconnect)
			began := time.Now()
			_, err := request(t.Context(), c, func(ctx context.Context) (int, error) {
				switch since := time.Since(began); {
				case since < 4*time.Second:
					return silent(ctx)
				case since < 6*time.Second:
					return 0, nats.ErrReconnectBufExceeded
				}
				calls++
				select {
				case <-time.After(4 * time.Second): // of the 5 s, which began anew
					return 0, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			require.NoError(t, err)
			require.Equal(t, 1, calls)
			require.Equal(t, 10*time.Second, time.Since(began))
		},
		"it is there, and the server says nothing": func(t *testing.T) {
			t.Helper()
			began := time.Now()
			_, err := request(t.Context(), up(), silent)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, transport.ErrConnectionLost)
			require.Equal(t, requestWait, time.Since(began))
		},
		"the context ends": func(t *testing.T) {
			t.Helper()
			c := up()
			c.link.onDisconnect()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := request(ctx, c, func(context.Context) (int, error) { return 0, nats.ErrReconnectBufExceeded })
			require.ErrorIs(t, err, transport.ErrConnectionLost)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = request(ctx, c, silent)
			require.ErrorIs(t, err, transport.ErrConnectionLost)
		},
		"the server is back before its JetStream": func(t *testing.T) {
			t.Helper()
			c := up()
			_, err := request(t.Context(), c, func(context.Context) (int, error) { return 0, nats.ErrNoResponders })
			require.ErrorIs(t, err, nats.ErrNoResponders, "it was never away")
			c.link.onDisconnect()
			c.link.onReconnect()
			began := time.Now()
			_, err = request(t.Context(), c, func(context.Context) (int, error) {
				if time.Since(began) < 3*time.Second {
					return 0, nats.ErrNoResponders
				}
				return 0, nil
			})
			require.NoError(t, err)
			_, err = request(t.Context(), c, func(context.Context) (int, error) { return 0, nats.ErrNoResponders })
			require.ErrorIs(t, err, nats.ErrNoResponders, "it has none")
			require.Less(t, time.Since(began), unansweredFor+time.Second)
		},
		"the server refuses": func(t *testing.T) {
			t.Helper()
			no := errors.New("no")
			_, err := request(t.Context(), up(), func(context.Context) (int, error) { return 0, no })
			require.Equal(t, no, err)
		},
		"the client is being closed": func(t *testing.T) {
			t.Helper()
			c := up()
			c.Closing()
			_, err := request(t.Context(), c, func(context.Context) (int, error) { return 0, nats.ErrReconnectBufExceeded })
			require.ErrorIs(t, c.explain(err), transport.ErrConnectionLost)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, play)
		})
	}
}
