package natsconn_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// TestURLsThatCantBeRight are refused at once, and what nats.go takes is not.
func TestURLsThatCantBeRight(t *testing.T) {
	t.Parallel()
	connect := func(url string) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a URL that is right gets no further
		_, err := natsconn.Connect(ctx, transport.Config{URL: url}, func(*nats.Options) {}, nil)
		return err
	}
	for url, text := range map[string]string{
		"nats://host:0":               "there is no port 0",
		"nats://host:65536":           "there is no port 65536",
		"host:4222222":                "there is no port 4222222",
		"nats://host:port":            "it can't be parsed",
		"nats:host:4222":              "it can't be parsed",
		"nats:/host:4222":             "URL nats:/host:4222: the scheme is not followed by ://",
		"nats//host:4222":             "URL nats//host:4222: the scheme is not followed by ://",
		"https://host:4222":           `unknown scheme "https"`,
		"nast://host":                 `unknown scheme "nast"`,
		"nats://a:4222,nats://b:0":    "there is no port 0",
		"nats://user:hunter2@host:0":  "URL nats://***@host:0: there is no port 0",
		"nats:/user:hunter2@host:422": "URL ***@host:422: the scheme",
	} {
		err := connect(url)
		require.ErrorIs(t, err, transport.ErrInvalid, url)
		require.ErrorContains(t, err, text, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for _, url := range []string{"host", "host:1", "nats://host:65535", "http://host:4222/", "tcp://host", "NATS://host", "ws://host:80/path", "nats://[::1]:4222"} {
		require.NotErrorIs(t, connect(url), transport.ErrInvalid, url)
	}
}

// TestHTTPIsTakenWithALogLine: Node services are deployed with such URLs.
func TestHTTPIsTakenWithALogLine(t *testing.T) {
	t.Parallel()
	for url, logged := range map[string]bool{
		"http://a": true, "nats://a, http://user:hunter2@b": true, "nats://a": false, "a": false, "ws://http": false,
	} {
		var log bytes.Buffer
		natsconn.LogHTTP(slog.New(slog.NewTextHandler(&log, nil)), url)
		require.Equal(t, logged, strings.Contains(log.String(), "http:// in the URL is taken for nats://"), url)
		require.NotContains(t, log.String(), "hunter2")
	}
}

// TestTheMonitoringPortIsNamed where that is what answers.
func TestTheMonitoringPortIsNamed(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(nil)
	defer web.Close()
	for _, url := range []string{web.URL, "nats://" + web.Listener.Addr().String(), "nats://127.0.0.1:1," + web.Listener.Addr().String()} {
		_, err := natsconn.Connect(t.Context(), transport.Config{URL: url}, func(*nats.Options) {}, []nats.Option{nats.Timeout(50 * time.Millisecond), nats.DontRandomize()})
		require.ErrorIs(t, err, transport.ErrNoServer)
		require.ErrorContains(t, err, web.Listener.Addr().String()+": what listens there speaks HTTP, as the monitoring port")
	}
}

// TestTheMonitoringPortIsNamedInTime although the context ends before nats.go gives up.
func TestTheMonitoringPortIsNamedInTime(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(nil)
	defer web.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := natsconn.Connect(ctx, transport.Config{URL: web.URL}, func(*nats.Options) {}, []nats.Option{nats.Timeout(time.Hour)})
	require.ErrorIs(t, err, transport.ErrNoServer)
	require.NotErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, web.Listener.Addr().String()+": what listens there speaks HTTP, as the monitoring port")
}
