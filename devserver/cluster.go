package devserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
	streaming "github.com/nats-io/nats-streaming-server/server"
)

const (
	clusterSize = 3 // the least that goes on without one of them

	// startWait is how long a cluster may take to agree on a leader: several
	// elections, on a machine that is busy with other tests.
	startWait = time.Minute
	pollEvery = 20 * time.Millisecond
)

// cluster is what both kinds have in common. Nothing in it changes once it's
// made; each node has a lock of its own.
type cluster struct {
	clusterID, url string
	dir            string // a temporary one, with a folder for each node
	nodes          []*Server

	// ready returns nil once clients of every running node are served, and until
	// then what is missing.
	ready func(ctx context.Context) error
}

// startCluster starts the nodes; kind completes the configuration of each. That
// they have found each other is still to be waited for.
func startCluster(opts []Option, kind func(*config)) (*cluster, error) {
	conf, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if err := conf.fitsCluster(); err != nil {
		return nil, err
	}
	kind(&conf)
	for attempt := 1; ; attempt++ {
		c, err := launchCluster(conf)
		// The ports were free when they were chosen.
		if attempt < 3 && errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		return c, err
	}
}

// fitsCluster refuses what only a single server can have.
func (c *config) fitsCluster() error {
	switch {
	case c.port != 0:
		return fmt.Errorf("Port(%d): the nodes of a cluster take any free ports: leave the option out", c.port)
	case c.monitor:
		return errors.New("MonitorPort: a cluster has no monitoring: leave the option out")
	case c.storeDir != "":
		return fmt.Errorf("StoreDir(%q): a cluster keeps its files in a temporary directory: leave the option out", c.storeDir)
	case c.noJetStream:
		return errors.New("WithoutJetStream: start a cluster of the other kind, or leave the option out")
	default:
		return nil
	}
}

func launchCluster(conf config) (*cluster, error) {
	ports, err := differentPorts(clusterSize)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "devserver-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary directory for the nodes: %w", err)
	}
	c := &cluster{clusterID: conf.clusterID, dir: dir, nodes: make([]*Server, clusterSize)}
	errs := make([]error, clusterSize)
	var wg sync.WaitGroup
	for i := range c.nodes {
		conf := conf
		conf.member = &member{clusterID: conf.clusterID, index: i, ports: ports}
		conf.storeDir = filepath.Join(dir, nodeName(i))
		conf.log = conf.log.With(slog.String("node", nodeName(i)))
		wg.Go(func() { c.nodes[i], errs[i] = start(conf) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		c.Shutdown()
		return nil, err
	}
	urls := make([]string, clusterSize)
	for i, s := range c.nodes {
		s.url = "nats://" + reachable(s.conf.host, s.conf.port)
		urls[i] = s.url
	}
	c.url = strings.Join(urls, ",")
	return c, nil
}

// whenReady is the end of both starts.
func (c *cluster) whenReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	if err := c.wait(ctx); err != nil {
		c.Shutdown()
		return err
	}
	return nil
}

// URL is where clients connect to: the URLs of all nodes with commas between
// them, the one of node 0 first. It never changes.
func (c *cluster) URL() string { return c.url }

// ClusterID is what the option [ClusterID] said: to streaming clients the
// cluster they connect to, to the nodes of a JetStream cluster its name.
func (c *cluster) ClusterID() string { return c.clusterID }

// Kill stops a node, 0 to 2, from one moment to the next as far as this can be
// done within a process: its clients are not told beforehand, and see their
// connections break. One that is down stays down. Two of the three nodes go on;
// one alone refuses everything until a second one is back.
func (c *cluster) Kill(node int) error {
	s, err := c.node(node)
	if err != nil {
		return fmt.Errorf("devserver: Kill: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	return nil
}

// Restart starts a node, 0 to 2, on the ports and the files it had; one that
// runs is stopped before. It returns once clients can connect to the node, which
// then catches up with the others; WaitReady waits for that. After an error the
// node is down, and Restart can be tried again.
func (c *cluster) Restart(node int) error {
	s, err := c.node(node)
	if err != nil {
		return fmt.Errorf("devserver: Restart: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restart("Restart", nil)
}

// WaitReady waits until there is a leader and it can be reached through every
// node that runs, as after the start. The error says what is missing, and is
// ctx's as well.
func (c *cluster) WaitReady(ctx context.Context) error {
	if err := c.wait(ctx); err != nil {
		return fmt.Errorf("devserver: WaitReady: %w", err)
	}
	return nil
}

// Shutdown stops all nodes and removes their files. Calling it again does
// nothing.
func (c *cluster) Shutdown() {
	var wg sync.WaitGroup
	for _, s := range c.nodes {
		if s != nil { // one that did not start
			wg.Go(s.Shutdown)
		}
	}
	wg.Wait()
	_ = os.RemoveAll(c.dir) // what can't be removed is left to the system, as with every temporary file
}

func (c *cluster) wait(ctx context.Context) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		err := c.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-poll.C:
		}
	}
}

func (c *cluster) node(i int) (*Server, error) {
	if i < 0 || i >= len(c.nodes) {
		return nil, fmt.Errorf("node %d: use 0 to %d", i, len(c.nodes)-1)
	}
	return c.nodes[i], nil
}

// find returns the first running node for which is holds.
func (c *cluster) find(is func(*process) bool) (node int, ok bool) {
	for i, s := range c.nodes {
		if p := s.current(); p != nil && is(p) {
			return i, true
		}
	}
	return 0, false
}

// errNoLeader tells how many nodes run, since one alone can't elect any.
func (c *cluster) errNoLeader() error {
	running := 0
	for _, s := range c.nodes {
		if s.current() != nil {
			running++
		}
	}
	return fmt.Errorf("there is no leader; %d of %d nodes run, and it takes %d: Restart what was killed", running, len(c.nodes), len(c.nodes)/2+1)
}

// member is a server's place in a cluster.
type member struct {
	clusterID string
	index     int
	ports     []int // for routes, by node
}

func nodeName(i int) string { return "node-" + strconv.Itoa(i) }

func (m *member) routePort() int { return m.ports[m.index] }

// nats ties the nats-servers together, which pass on what clients of any of them
// send.
func (m *member) nats(o *nats.Options) {
	o.ServerName = nodeName(m.index)
	o.Cluster = nats.ClusterOpts{Name: m.clusterID, Host: loopback, Port: m.routePort()}
	for i, port := range m.ports {
		if i != m.index {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: reachable(loopback, port)})
		}
	}
}

// streaming ties the streaming servers together, by raft, whose messages travel
// over the nats-servers.
func (m *member) streaming(dir string) streaming.ClusteringOptions {
	o := streaming.ClusteringOptions{
		Clustered:    true,
		NodeID:       nodeName(m.index),
		RaftLogPath:  filepath.Join(dir, "raft"),
		LogCacheSize: streaming.DefaultLogCacheSize,
		LogSnapshots: streaming.DefaultLogSnapshots,
		TrailingLogs: streaming.DefaultTrailingLogs,
		// Half of the server's own, so that a test is not long without a leader.
		// With less, a machine that is busy elects one after the other.
		RaftHeartbeatTimeout: time.Second,
		RaftElectionTimeout:  time.Second,
		RaftLeaseTimeout:     500 * time.Millisecond,
	}
	for i := range m.ports {
		o.Peers = append(o.Peers, nodeName(i))
	}
	return o
}

// differentPorts finds n free ports of the loopback address: each is held until
// all are found.
func differentPorts(n int) ([]int, error) {
	ports := make([]int, n)
	held := make([]net.Listener, 0, n)
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0")) //nolint:noctx // starting a cluster has no context to give it
		if err != nil {
			return nil, fmt.Errorf("looking for free ports: %w", err)
		}
		held = append(held, l)
		address, _ := l.Addr().(*net.TCPAddr)
		ports[i] = address.Port
	}
	return ports, nil
}
