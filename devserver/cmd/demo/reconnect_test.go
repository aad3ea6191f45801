package main

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// A server that comes back without its store does not know its clients any more:
// those of NATS Streaming have lost their connections for good.
func TestMembersReconnect(t *testing.T) {
	t.Parallel()
	assert.Positive(t, connectionsLost(t, false))
}

// Those of JetStream make what they need there again, and go on.
func TestMembersOnJetStreamNeedNot(t *testing.T) {
	t.Parallel()
	assert.Zero(t, connectionsLost(t, true))
}

// connectionsLost tells one story before the server comes back without its store
// and one after that, and returns how many members needed a new client.
func connectionsLost(t *testing.T, jetStream bool) int32 {
	t.Helper()
	srv, err := devserver.Start()
	require.NoError(t, err)
	defer srv.Shutdown()

	var lost atomic.Int32
	d, _ := small()
	d.platform, d.ledger = platform.New(d.window), newLedger()
	var members []listener.Runner
	for _, m := range d.members(server{srv.ClusterID(), srv.URL(), jetStream}) {
		m := m.(reconnecting)
		m.lost = func(string) { lost.Add(1) }
		members = append(members, m)
	}
	ctx, end := context.WithTimeout(t.Context(), 40*time.Second)
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, listener.Run(ctx, members...)) })

	tell := func() { assert.NoError(t, d.platform.Story(ctx, "concert", func(string) {})) }
	tell()
	require.NoError(t, srv.RestartEmpty())
	tell()
	end()
	running.Wait()
	return lost.Load()
}
