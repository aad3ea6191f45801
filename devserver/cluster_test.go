package devserver_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

// clusterPatience is for what takes elections, on a busy machine several.
const clusterPatience = time.Minute

func TestJetStreamCluster(t *testing.T) {
	t.Parallel()
	c, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	t.Cleanup(c.Shutdown)
	assert.Equal(t, "ticketing", c.ClusterID())
	assert.Len(t, strings.Split(c.URL(), ","), 3)
	ctx, cancel := context.WithTimeout(t.Context(), clusterPatience)
	defer cancel()

	nc, err := nats.Connect(c.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"ticket.>"}, Replicas: 3})
	require.NoError(t, err, "the first request after the start")
	publish := func(id int) {
		require.Eventually(t, func() bool {
			attempt, cancel := context.WithTimeout(ctx, time.Second) // the answer may be lost with the node
			defer cancel()
			_, err := js.Publish(attempt, "ticket.created", nil, jetstream.WithMsgID(strconv.Itoa(id)))
			return err == nil
		}, clusterPatience, time.Millisecond)
	}
	publish(1)

	leader := leads(t, func() (int, bool) { return c.Leader("events") })
	_, ok := c.Leader("others")
	assert.False(t, ok, "no such stream")
	require.NoError(t, c.Kill(leader))
	require.NoError(t, c.Kill(leader), "it's down already")
	publish(2)
	assert.NotEqual(t, leader, leads(t, func() (int, bool) { return c.Leader("events") }))

	require.NoError(t, c.Restart(leader))
	require.NoError(t, c.WaitReady(ctx))
	publish(3)
	require.Eventually(t, func() bool {
		info, err := stream.Info(ctx)
		if err != nil || info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
			return false
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current {
				return false
			}
		}
		return info.State.Msgs == 3
	}, clusterPatience, 10*time.Millisecond, "all replicas are current again, and have each event once")
}

func TestStreamingCluster(t *testing.T) {
	t.Parallel()
	c, err := devserver.StartStreamingCluster(devserver.ClusterID("three"), devserver.Users(devserver.User{Name: "orders", Password: "secret"}))
	require.NoError(t, err)
	t.Cleanup(c.Shutdown)
	assert.Equal(t, "three", c.ClusterID())
	assert.Len(t, strings.Split(c.URL(), ","), 3)

	nc, err := nats.Connect(c.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.UserInfo("orders", "secret"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	conn, err := stan.Connect(c.ClusterID(), "client", stan.NatsConn(nc), stan.Pings(5, 20), stan.PubAckWait(2*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	got := make(chan string, 1000)
	_, err = conn.Subscribe("ticket:created", func(m *stan.Msg) { got <- string(m.Data) }, stan.DeliverAllAvailable())
	require.NoError(t, err)
	publish := func(data string) {
		require.Eventually(t, func() bool { return conn.Publish("ticket:created", []byte(data)) == nil }, clusterPatience, time.Millisecond)
	}
	publish("one")
	assert.Equal(t, "one", receive(t, got))

	leader := leads(t, c.Leader)
	require.NoError(t, c.Kill(leader))
	publish("two")
	eventually(t, got, "two")
	assert.NotEqual(t, leader, leads(t, c.Leader))

	require.NoError(t, c.Restart(leader))
	ctx, cancel := context.WithTimeout(t.Context(), clusterPatience)
	defer cancel()
	require.NoError(t, c.WaitReady(ctx))

	// What the node that was away has caught up with it can lead with.
	require.NoError(t, c.Kill(leads(t, c.Leader)))
	publish("three")
	eventually(t, got, "three")
}

// leads waits for a leader.
func leads(t *testing.T, leader func() (int, bool)) int {
	t.Helper()
	var node int
	require.Eventually(t, func() bool {
		var ok bool
		node, ok = leader()
		return ok
	}, clusterPatience, time.Millisecond)
	return node
}

// eventually passes over what comes again when another leader takes over.
func eventually(t *testing.T, got <-chan string, want string) {
	t.Helper()
	for timeout := time.After(clusterPatience); ; {
		select {
		case data := <-got:
			if data == want {
				return
			}
		case <-timeout:
			require.FailNow(t, "it did not come", want)
		}
	}
}

func TestClusterWithoutMajority(t *testing.T) {
	t.Parallel()
	c, err := devserver.StartStreamingCluster(devserver.Credentials("user", "secret"))
	require.NoError(t, err)
	t.Cleanup(c.Shutdown)
	require.NoError(t, c.Kill(1))
	require.NoError(t, c.Kill(2))
	require.Eventually(t, func() bool { _, ok := c.Leader(); return !ok }, clusterPatience, time.Millisecond, "node 0 can't go on alone")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = c.WaitReady(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "there is no leader; 1 of 3 nodes run, and it takes 2: Restart what was killed")

	require.NoError(t, c.Restart(2))
	ctx, cancel = context.WithTimeout(t.Context(), clusterPatience)
	defer cancel()
	require.NoError(t, c.WaitReady(ctx))
}

func TestWrongClusterOptions(t *testing.T) {
	for name, test := range map[string]struct {
		opt  devserver.Option
		says []string // the option and the remedy
	}{
		"port":         {devserver.Port(4222), []string{"Port(4222)", "leave the option out"}},
		"monitor port": {devserver.MonitorPort(0), []string{"MonitorPort", "leave the option out"}},
		"store dir":    {devserver.StoreDir("store"), []string{`StoreDir("store")`, "leave the option out"}},
		"no JetStream": {devserver.WithoutJetStream(), []string{"WithoutJetStream", "leave the option out"}},
		"other":        {devserver.ClusterID(""), []string{"ClusterID", "letters, digits"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, streaming := devserver.StartStreamingCluster(test.opt)
			_, js := devserver.StartJetStreamCluster(test.opt)
			for _, says := range append(test.says, "devserver: Start") {
				assert.ErrorContains(t, streaming, says)
				assert.ErrorContains(t, js, says)
			}
		})
	}
}

func TestClusterLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	_, err := devserver.StartJetStreamCluster(devserver.Host("192.0.2.77"))
	assert.ErrorContains(t, err, "address of this machine")
	assertEmpty(t, temp)

	c, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	assert.ErrorContains(t, c.Kill(3), "use 0 to 2")
	assert.ErrorContains(t, c.Restart(-1), "use 0 to 2")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(c.Shutdown)
		wg.Go(func() { assert.NoError(t, c.Kill(0)) })
		wg.Go(func() { c.Leader("events") })
	}
	wg.Wait()
	for url := range strings.SplitSeq(c.URL(), ",") {
		assertFree(t, url)
	}
	assertEmpty(t, temp)
	assert.ErrorContains(t, c.Restart(0), "was shut down")
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
