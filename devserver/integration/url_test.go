package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
)

// TestBuildOverTheMonitoringPort says which port that is, over both brokers.
func TestBuildOverTheMonitoringPort(t *testing.T) {
	t.Parallel()
	if server.monitor == "" {
		t.Skip("the monitoring of the server at NATS_URL is not known: set NATS_MONITOR_URL")
	}
	for name, opts := range map[string][]client.Option{"NATS Streaming": nil, "JetStream": {client.JetStream()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lockedBuffer
			ctx, stop := context.WithCancel(deadline(t))
			defer stop()
			failed := make(chan error, 1)
			go func() {
				opts := append([]client.Option{client.Logger(slog.New(slog.NewTextHandler(&log, nil)))}, opts...)
				_, err := client.Build(ctx, server.clusterID, "monitoring", server.monitor, opts...)
				failed <- err
			}()
			require.Eventually(t, func() bool { return strings.Contains(log.String(), "not connected yet") }, patience, 10*time.Millisecond)
			stop()
			err := <-failed
			require.ErrorIs(t, err, client.ErrNoServer)
			require.ErrorContains(t, err, "the monitoring port of a NATS server")
			require.Equal(t, 1, strings.Count(log.String(), "http:// in the URL is taken for nats://"))
		})
	}
}
