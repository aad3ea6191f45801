package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// A server that comes back without its store knows neither its clients nor their
// subscriptions, stream and consumers any more. They go on all the same.
func TestMembersOutliveTheStore(t *testing.T) {
	t.Parallel()
	for name, jetStream := range map[string]bool{"NATS Streaming": false, "JetStream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, err := devserver.Start()
			require.NoError(t, err)
			defer srv.Shutdown()

			d, _ := small()
			d.platform, d.ledger = platform.New(d.window), newLedger()
			ctx, end := context.WithTimeout(t.Context(), 40*time.Second)
			defer end()
			var running sync.WaitGroup
			running.Go(func() {
				assert.NoError(t, listener.Run(ctx, d.members(server{srv.ClusterID(), srv.URL(), jetStream})...))
			})

			tell := func() { assert.NoError(t, d.platform.Story(ctx, "concert", func(string) {})) }
			tell()
			require.NoError(t, srv.RestartEmpty())
			tell()
			end()
			running.Wait()
		})
	}
}
