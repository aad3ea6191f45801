package devserver

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"
)

// A StreamingCluster is three NATS Streaming servers that keep the same events,
// of which one, the leader, serves all clients. It's made by
// [StartStreamingCluster]. Its nodes are numbered 0 to 2. Its methods may be
// called by several goroutines at once.
type StreamingCluster struct{ *cluster }

// StartStreamingCluster starts three nodes on the loopback address, each a
// streaming server with the nats-server that it embeds, and returns once clients
// of each are served by the leader, which takes a second or two. The nodes take
// any free ports, and keep their files in a temporary directory. The caller ends
// them with Shutdown.
//
// There is no JetStream. The options count for each node; Port, MonitorPort,
// StoreDir and WithoutJetStream are errors.
//
// Between the end of a leader and the moment when another one serves clients
// pass about three seconds.
func StartStreamingCluster(opts ...Option) (*StreamingCluster, error) {
	cluster, err := startCluster(opts, func(c *config) { c.noJetStream = true })
	if err != nil {
		return nil, fmt.Errorf("devserver: StartStreamingCluster: %w", err)
	}
	c := &StreamingCluster{cluster}
	c.ready = c.served
	if err := c.whenReady(); err != nil {
		return nil, fmt.Errorf("devserver: StartStreamingCluster: %w", err)
	}
	return c, nil
}

// Leader returns the node that serves the clients, if any does just now.
func (c *StreamingCluster) Leader() (node int, ok bool) {
	return c.find(func(p *process) bool { return p.log.leads() })
}

// served returns nil once the leader answers through every running node.
func (c *StreamingCluster) served(ctx context.Context) error {
	if _, ok := c.Leader(); !ok {
		return c.errNoLeader()
	}
	for i, s := range c.nodes {
		if s.current() == nil {
			continue // it's down
		}
		if err := s.ping(ctx); err != nil {
			return fmt.Errorf("the leader does not answer through node %d: %w", i, err)
		}
	}
	return nil
}

// ping asks the leader whether it knows a client that can't be, which nobody else
// answers and nobody takes note of.
func (s *Server) ping(ctx context.Context) error {
	opts := []nats.Option{nats.NoReconnect()}
	switch {
	case len(s.conf.users) > 0:
		opts = append(opts, nats.UserInfo(ownUser, s.conf.users[0].Password))
	case s.conf.user != "":
		opts = append(opts, nats.UserInfo(s.conf.user, s.conf.password))
	}
	nc, err := nats.Connect(s.url, opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	question, err := (&pb.Ping{ConnID: []byte("none")}).Marshal()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = nc.RequestWithContext(ctx, "_STAN.discover."+s.clusterID+".pings", question)
	return err
}
