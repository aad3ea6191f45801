package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
)

// TestHealthyAsksTheBroker, and names what is wrong.
func TestHealthyAsksTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer error
		pings := 0
		conn := &fakeconn.Conn{OnPing: func(context.Context) error { pings++; return answer }}
		c := on(t, conn)
		require.NoError(t, c.Healthy(t.Context()))
		require.NoError(t, c.Healthy(t.Context()))
		require.Equal(t, 2, pings, "it is no flag")

		access.Session(c).Degrade(t, "full", nil)
		require.NoError(t, c.Healthy(t.Context()), "the rest of it works")

		answer = fmt.Errorf("%w: no leader", transport.ErrNoCluster)
		err := c.Healthy(t.Context())
		require.ErrorIs(t, err, client.ErrNoCluster)
		require.EqualError(t, err, `client "orders-1": no round trip to the broker: no such cluster: no leader`)

		conn.Emit(transport.Event{Kind: transport.Disconnected, Err: io.EOF})
		time.Sleep(3 * time.Second)
		err = c.Healthy(t.Context())
		require.ErrorIs(t, err, io.EOF)
		require.EqualError(t, err, `client "orders-1": reconnecting for 3s (EOF): no such cluster: no leader`)
		emit(conn, transport.Disconnected)
		require.EqualError(t, c.Healthy(t.Context()), `client "orders-1": reconnecting for 3s: no such cluster: no leader`)

		answer = transport.ErrClosed
		require.NoError(t, c.Close(t.Context()))
		err = c.Healthy(t.Context())
		require.ErrorIs(t, err, client.ErrClosed)
		require.EqualError(t, err, `client "orders-1": closed`)
	})
}

// TestHealthyKeepsToItsTime: that of its context, or 5 s.
func TestHealthyKeepsToItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := on(t, &fakeconn.Conn{OnPing: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		started := time.Now()
		require.ErrorIs(t, c.Healthy(t.Context()), context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(started))

		for _, d := range []time.Duration{time.Second, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			started = time.Now()
			require.ErrorIs(t, c.Healthy(ctx), context.DeadlineExceeded)
			require.Equal(t, d, time.Since(started))
			cancel()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Healthy(ctx), context.Canceled)
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestHealthHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer error
		conn := &fakeconn.Conn{OnPing: func(context.Context) error { return answer }}
		c := on(t, conn)
		since := time.Now().UTC().Format(time.RFC3339Nano)
		handler := client.HealthHandler(c)
		get := func(method string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, "/healthz", http.NoBody))
			return rec
		}
		ok := get(http.MethodGet)
		require.Equal(t, http.StatusOK, ok.Code)
		require.Equal(t, "application/json", ok.Header().Get("Content-Type"))
		require.Equal(t, "no-store", ok.Header().Get("Cache-Control"))
		require.Equal(t, `{"state":"connected","since":"`+since+`"}`+"\n", ok.Body.String())

		access.Session(c).Degrade(t, "full", errors.New("dial nats://user:p@ss@host:4222,token@other: refused"))
		require.Equal(t, `{"state":"degraded","since":"`+since+`","reasons":[{"reason":"full","error":"dial ***@other: refused","since":"`+since+`"}]}`+"\n",
			get(http.MethodGet).Body.String())
		access.Session(c).Recover(t, "full")

		answer = errors.New(`dial "nats://user:secret@host": refused`)
		sick := get(http.MethodGet)
		require.Equal(t, http.StatusServiceUnavailable, sick.Code)
		var body struct {
			State string `json:"state"`
			Error string `json:"error"`
		}
		require.NoError(t, json.Unmarshal(sick.Body.Bytes(), &body))
		require.Equal(t, "connected", body.State)
		require.Equal(t, `client "orders-1": no round trip to the broker: dial "***@host": refused`, body.Error)
		require.NotContains(t, sick.Body.String(), "secret")

		head := get(http.MethodHead)
		require.Equal(t, http.StatusServiceUnavailable, head.Code)
		require.Empty(t, head.Body.String())
		post := get(http.MethodPost)
		require.Equal(t, http.StatusMethodNotAllowed, post.Code)
		require.Equal(t, "GET, HEAD", post.Header().Get("Allow"))

		require.NoError(t, c.Close(t.Context()))
		require.Contains(t, get(http.MethodGet).Body.String(), `"state":"closed"`)
	})
}
