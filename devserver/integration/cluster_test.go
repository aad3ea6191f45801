//go:build cluster

// It takes elections, and make test is not to wait for them: make test-cluster.

package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

func TestStreamingClusterLosesItsLeader(t *testing.T) {
	type tag struct{}
	fresh[tag](t)
	c, err := devserver.StartStreamingCluster()
	require.NoError(t, err)
	t.Cleanup(c.Shutdown)
	underLoad[tag](t, outage{
		cluster: c,
		leader:  c.Leader,
		// While there is no leader a publish goes nowhere, and nobody says so.
		timeout: time.Second,
	})
}
