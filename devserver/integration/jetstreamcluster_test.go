package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/transport/jetstream"
)

func TestJetStreamClusterLosesItsLeader(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	c, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	t.Cleanup(c.Shutdown)
	underLoad[tag](t, outage{
		cluster: c,
		leader:  func() (int, bool) { return c.Leader(c.ClusterID()) },
		options: []client.Option{client.JetStream(jetstream.Replicas(3), jetstream.Subjects(string(subject)))},
		timeout: 2 * time.Second,
	})
}
