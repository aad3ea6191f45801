package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
)

func quiet() client.Option { return client.Logger(slog.New(slog.DiscardHandler)) }

// TestBuildKeepsTrying: until it is connected, with pauses of 0.1 s to 1 s. What to check is
// logged when it is another thing than before.
func TestBuildKeepsTrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failures := []error{
			transport.ErrNoServer, transport.ErrNoCluster, transport.ErrClientIDTaken,
			transport.ErrForbidden, errors.New("something else"),
		}
		var log bytes.Buffer
		conn := (&fakeconn.Conn{}).Dialer()
		attempts := 0
		c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://nowhere",
			client.Logger(slog.New(slog.NewTextHandler(&log, nil))),
			client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
				require.Equal(t, "ticketing", cfg.ClusterID)
				require.Equal(t, "orders-1", cfg.ClientID, "an ID that the caller gave is kept")
				require.Equal(t, "nats://nowhere", cfg.URL)
				attempts++
				if attempts <= len(failures) {
					return nil, fmt.Errorf("attempt %d: %w", attempts, failures[attempts-1])
				}
				return conn(ctx, cfg)
			}))
		require.NoError(t, err)
		require.Equal(t, len(failures)+1, attempts)
		lines := strings.Split(log.String(), "\n")
		for i, check := range []string{
			"listens at the URL", "cluster ID", "no other process uses this client ID", "permissions", "the server's log",
		} {
			require.Contains(t, lines[i], fmt.Sprintf("attempt=%d", i+1))
			require.Contains(t, lines[i], check)
		}
		require.NoError(t, c.Close(t.Context()))
	})
}

// TestBuildLogsThatItWaits at once, then at intervals that grow up to 30 s, in words that can
// be read in JSON, too.
func TestBuildLogsThatItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		var log bytes.Buffer
		_, err := client.Build(ctx, "ticketing", "orders-1", "nats://nowhere", client.Logger(slog.New(slog.NewJSONHandler(&log, nil))),
			client.Transport(func(context.Context, transport.Config) (transport.Conn, error) { return nil, transport.ErrNoServer }))
		require.ErrorIs(t, err, client.ErrNoServer)
		var waited []float64
		for line := range strings.Lines(log.String()) {
			var entry struct {
				Waited  string `json:"waited"`
				RetryIn string `json:"retry_in"`
			}
			require.NoError(t, json.Unmarshal([]byte(line), &entry))
			at, err := time.ParseDuration(entry.Waited)
			require.NoError(t, err)
			_, err = time.ParseDuration(entry.RetryIn)
			require.NoError(t, err)
			waited = append(waited, at.Seconds())
		}
		require.Len(t, waited, 10)
		for i, at := range []float64{0, 1, 3, 7, 15, 31, 61, 91, 121, 151} { // and up to a pause more each
			require.InDelta(t, at+float64(i)/2, waited[i], float64(i)/2+0.1)
		}
	})
}

func TestBuildGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		started := time.Now()
		attempts := 0
		_, err := client.Build(ctx, "ticketing", "orders-1", "nats://nowhere", quiet(),
			client.Transport(func(context.Context, transport.Config) (transport.Conn, error) {
				attempts++
				return nil, transport.ErrNoServer
			}))
		require.Equal(t, 10*time.Second, time.Since(started))
		require.ErrorIs(t, err, client.ErrNoServer)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, fmt.Sprintf(`build client "orders-1": gave up after %d attempts`, attempts))
		require.Greater(t, attempts, 10)
		require.Less(t, attempts, 40)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Build(ctx, "ticketing", "orders-1", "nats://nowhere", quiet(),
			client.Transport(func(ctx context.Context, _ transport.Config) (transport.Conn, error) {
				<-ctx.Done()
				return nil, fmt.Errorf("%w: %w", transport.ErrNoServer, ctx.Err())
			}))
		require.EqualError(t, err, `build client "orders-1": gave up after 1 attempt: no server: context deadline exceeded; `+
			"check that a NATS server listens at the URL and the network lets this host reach it")
		require.ErrorIs(t, err, context.DeadlineExceeded)

		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		_, err = client.Build(ctx, "ticketing", "orders-1", "nats://nowhere", quiet(), client.Transport((&fakeconn.Conn{}).Dialer()))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestBuildReturnsAtOnceWhatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	for _, permanent := range []error{transport.ErrInvalid, transport.ErrUnauthorized} {
		_, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://nowhere", quiet(),
			client.Transport(func(context.Context, transport.Config) (transport.Conn, error) { return nil, permanent }))
		require.ErrorIs(t, err, permanent)
	}
}

// TestTransportThatReturnsNothing is an error of the one who wrote it, not a panic
// of the first publisher.
func TestTransportThatReturnsNothing(t *testing.T) {
	t.Parallel()
	_, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", quiet(),
		client.Transport(func(context.Context, transport.Config) (transport.Conn, error) { return nil, nil })) //nolint:nilnil // what is tested
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option Transport: its dialer returned neither")
}

func TestOptionsThatExcludeOneAnother(t *testing.T) {
	t.Parallel()
	dial := (&fakeconn.Conn{}).Dialer()
	_, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", client.Transport(dial), client.NATS(nil))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option NATS: it would have no effect")
	_, err = client.Build(t.Context(), "ticketing", "orders-1", "nats://x", client.Transport(dial), client.Transport((&fakeconn.Conn{}).Dialer()))
	require.ErrorContains(t, err, "option Transport: given twice")
}

// TestFromEnvNumbersAGeneratedID that is taken.
func TestFromEnvNumbersAGeneratedID(t *testing.T) {
	t.Setenv("NATS_CLIENT_ID", "")
	t.Setenv("NATS_CLUSTER_ID", "")
	t.Setenv("NATS_URL", "")
	var ids []string
	conn := (&fakeconn.Conn{}).Dialer()
	c, err := client.FromEnv(t.Context(), quiet(), client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
		require.Equal(t, client.DefaultClusterID, cfg.ClusterID)
		require.Equal(t, client.DefaultURL, cfg.URL)
		ids = append(ids, cfg.ClientID)
		if len(ids) < 3 {
			return nil, transport.ErrClientIDTaken
		}
		return conn(ctx, cfg)
	}))
	require.NoError(t, err)
	require.Equal(t, []string{ids[0], ids[0] + "-2", ids[0] + "-3"}, ids)
	require.Equal(t, ids[2], c.ClientID())
	require.NoError(t, c.Close(t.Context()))
}

func TestID(t *testing.T) {
	t.Parallel()
	legal := regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	host, err := os.Hostname()
	require.NoError(t, err)
	for _, service := range []string{"orders", "", "Ördnung & Co.", "a.b/c", "-", "orders_2", strings.Repeat("x", 1000)} {
		id := client.ID(service)
		require.LessOrEqual(t, len(id), 128-len("-1000"), "there is room for a number")
		require.Regexp(t, legal, id)
		require.Equal(t, id, client.ID(service), "the same after a restart")
	}
	require.True(t, strings.HasPrefix(client.ID("orders"), "orders-"))
	require.NotEmpty(t, host)
}

// TestCloseIsCalledByMany: one closes, all wait for it, each as long as its
// context lets it.
func TestCloseIsCalledByMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowConn{}
		c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", quiet(), client.Transport(slow.Dialer()))
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { require.NoError(t, c.Close(context.Background())) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Close(ctx), context.DeadlineExceeded)
		wg.Wait()
		require.NoError(t, c.Close(t.Context()))
		require.ErrorIs(t, c.Err(), client.ErrClosed)
		require.Equal(t, 1, slow.closes)
	})
}

type slowConn struct {
	fakeconn.Conn
	closes int
}

func (s *slowConn) Dialer() transport.Dialer {
	inner := s.Conn.Dialer()
	return func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
		_, err := inner(ctx, cfg)
		return s, err
	}
}

func (s *slowConn) Close(ctx context.Context) error {
	s.closes++
	time.Sleep(10 * time.Second)
	return s.Conn.Close(ctx)
}

func ExampleID() {
	host, _ := os.Hostname()
	clean := regexp.MustCompile(`[^a-zA-Z0-9_-]`).ReplaceAllString(host, "-")
	fmt.Println(client.ID("orders") == "orders-"+strings.Trim(clean, "-"))
	// Output: true
}
