package devserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
)

// A JetStreamCluster is three nats-servers with JetStream that keep streams
// together, made by [StartJetStreamCluster]. Its nodes are numbered 0 to 2. Its
// methods may be called by several goroutines at once.
type JetStreamCluster struct{ *cluster }

// StartJetStreamCluster starts three nodes on the loopback address and returns
// once streams with three replicas can be made through each of them, which takes
// up to a few seconds. The nodes take any free ports, and keep their files in a
// temporary directory. The caller ends them with Shutdown.
//
// There is no NATS Streaming. Of the options, [ClusterID], [Host],
// [Credentials], [Users], [Logger], [MaxPayload] and [JetStreamSize] count, for
// each node; Port, MonitorPort, StoreDir and WithoutJetStream are errors.
//
// A node that is killed hands on what it led before it's gone, since nats-server
// knows no other end within a process; that saves clients the 4 to 9 seconds
// before others notice that a leader is missing.
func StartJetStreamCluster(opts ...Option) (*JetStreamCluster, error) {
	cluster, err := startCluster(opts, func(c *config) { c.noStreaming = true })
	if err != nil {
		return nil, fmt.Errorf("devserver: StartJetStreamCluster: %w", err)
	}
	c := &JetStreamCluster{cluster}
	c.ready = c.agreed
	if err := c.whenReady(); err != nil {
		return nil, fmt.Errorf("devserver: StartJetStreamCluster: %w", err)
	}
	return c, nil
}

// Leader returns the node that leads a stream of the cluster's clients, if any
// does just now.
func (c *JetStreamCluster) Leader(stream string) (node int, ok bool) {
	return c.find(func(p *process) bool { return p.nats.JetStreamIsStreamLeader(nats.DEFAULT_GLOBAL_ACCOUNT, stream) })
}

// agreed returns nil once the leader of all has heard from each running node what
// room it has for streams, and each is up to date.
func (c *JetStreamCluster) agreed(context.Context) error {
	running, heard := 0, 0
	for i, s := range c.nodes {
		p := s.current()
		if p == nil {
			continue // it's down
		}
		running++
		if !p.nats.JetStreamIsCurrent() {
			return fmt.Errorf("node %d is not up to date: %w", i, c.errNoLeader())
		}
		if p.nats.JetStreamIsLeader() {
			heard = len(p.nats.JetStreamClusterPeers())
		}
	}
	switch {
	case heard == 0:
		return c.errNoLeader()
	case heard != running:
		return fmt.Errorf("%d nodes run, and the leader has heard of %d", running, heard)
	default:
		return nil
	}
}

// natsWait is how long the streaming server gives the one that it embeds.
const natsWait = 10 * time.Second

// launchNATS starts a nats-server without a streaming server around it.
func launchNATS(o *nats.Options, log *logAdapter) (*process, error) {
	ns, err := nats.NewServer(o)
	if err != nil {
		return nil, err
	}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	p := &process{nats: ns, log: log, shutdown: func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	}}
	if !ns.ReadyForConnections(natsWait) {
		p.shutdown()
		return nil, errors.New("it does not take connections")
	}
	return p, nil
}
