package devserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats-streaming-server/stores"
)

// An Option sets one thing about the server that [Start] starts. When the same
// option is given twice, the last one counts. A wrong value makes Start fail
// with an error that names the option.
type Option func(*config) error

// config is what the options add up to.
type config struct {
	clusterID string
	storeDir  string // empty: memory store

	host        string
	port        int // 0: any free port
	monitor     bool
	monitorPort int // 0: any free port

	heartbeatInterval time.Duration
	heartbeatTimeout  time.Duration
	heartbeatFails    int

	user, password string
	users          []User
	log            *slog.Logger

	maxPayload int
	limits     stores.StoreLimits

	noJetStream   bool
	jetStreamSize int64 // 0: no limit but the disk's

	noStreaming bool    // a node of a JetStreamCluster
	member      *member // nil: a server by itself

	// portWait is how long a restart waits for its ports, which another
	// process may have been handed for a moment while the server was down.
	portWait time.Duration
}

func defaultConfig() config {
	return config{
		clusterID:         "ticketing",
		host:              loopback,
		heartbeatInterval: 5 * time.Second,
		heartbeatTimeout:  5 * time.Second,
		heartbeatFails:    2,
		log:               slog.New(slog.DiscardHandler),
		maxPayload:        defaultMaxPayload,
		limits:            stores.DefaultStoreLimits,
		portWait:          5 * time.Second,
	}
}

// newConfig adds the options up.
func newConfig(opts []Option) (config, error) {
	c := defaultConfig()
	for i, opt := range opts {
		if opt == nil {
			return c, fmt.Errorf("option %d is nil: leave it out", i+1)
		}
		if err := opt(&c); err != nil {
			return c, err
		}
	}
	if c.monitor && c.port != 0 && c.port == c.monitorPort {
		return c, fmt.Errorf("Port and MonitorPort are both %d: give each its own", c.port)
	}
	if c.noJetStream && c.jetStreamSize != 0 {
		return c, errors.New("JetStreamSize has no effect beside WithoutJetStream: leave one of them out")
	}
	if err := c.checkUsers(); err != nil {
		return c, err
	}
	return c, nil
}

const (
	loopback = "127.0.0.1"
	maxPort  = 65535

	defaultMaxPayload = 1 << 20
	// Below this the messages by which client and server talk about
	// themselves would not get through either.
	leastMaxPayload = 1 << 10
	// The embedded server refuses to buffer more than this for a connection,
	// and no message may be larger than that buffer.
	mostMaxPayload = 64 << 20
)

// clusterIDPattern is what the server asks of client ids. It asks nothing of
// cluster ids, but makes them a part of its subjects, where a dot, a space or
// a wildcard would make it unreachable.
var clusterIDPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// ClusterID sets the name that clients give as the cluster they connect to:
// letters, digits, underscores and hyphens. The default is "ticketing".
func ClusterID(id string) Option {
	return func(c *config) error {
		if !clusterIDPattern.MatchString(id) {
			return fmt.Errorf("ClusterID(%q): use one or more letters, digits, underscores and hyphens, as in %q", id, "ticketing")
		}
		c.clusterID = id
		return nil
	}
}

// StoreDir keeps events in files below dir, which is made if it's missing:
// those of the streaming server in its subfolder streaming, those of JetStream
// in jetstream. They stay there after [Server.Shutdown], and a later Start with
// the same dir and [ClusterID] goes on with them. One server at a time can use
// a directory: Start fails while another one, in this process or in another,
// has it.
//
// Without this option events are kept in memory, and what JetStream writes goes
// to a temporary directory that Shutdown removes.
func StoreDir(dir string) Option {
	return func(c *config) error {
		if strings.TrimSpace(dir) == "" {
			return errors.New("StoreDir(\"\"): name a directory, or leave the option out to keep events in memory")
		}
		c.storeDir = dir
		return nil
	}
}

// Host sets the address to listen on, for clients and for monitoring. The
// default is 127.0.0.1, which only this machine reaches; 0.0.0.0 opens the
// server to the network, so give [Credentials] with it.
func Host(addr string) Option {
	return func(c *config) error {
		if net.ParseIP(addr) == nil {
			return fmt.Errorf("Host(%q): use an IP address of this machine, such as 127.0.0.1", addr)
		}
		c.host = addr
		return nil
	}
}

// Port sets the TCP port clients connect to. Zero, the default, takes any free
// port; [Server.URL] tells which, and it stays the same through every restart.
func Port(p int) Option {
	return func(c *config) error {
		if p < 0 || p > maxPort {
			return fmt.Errorf("Port(%d): use 1 to %d, or 0 for any free port", p, maxPort)
		}
		c.port = p
		return nil
	}
}

// MonitorPort switches HTTP monitoring on, at the TCP port p; zero takes any
// free port. [Server.MonitorURL] tells where it is. The pages are those of the
// real server, such as /streaming/clientsz, /streaming/channelsz?subs=1 and
// /varz. Without this option there is no monitoring.
func MonitorPort(p int) Option {
	return func(c *config) error {
		if p < 0 || p > maxPort {
			return fmt.Errorf("MonitorPort(%d): use 1 to %d, 0 for any free port, or leave the option out for no monitoring", p, maxPort)
		}
		c.monitor, c.monitorPort = true, p
		return nil
	}
}

// Heartbeats sets how the server finds out that a client is gone. It asks every
// client for a sign of life each interval, waits up to timeout for the answer,
// and forgets a client that has missed more than fails of them in a row, which
// is when queue group members inherit its events. A client that hangs is thus
// forgotten after about (fails+1) * (interval+timeout). One whose connection is
// gone needs no waiting for: (fails+1) * interval. Zero fails forgets a client
// at its first miss; interval and timeout must be above zero.
//
// The default is that of the ticketing services, 5s, 5s and 2.
func Heartbeats(interval, timeout time.Duration, fails int) Option {
	return func(c *config) error {
		if interval <= 0 || timeout <= 0 || fails < 0 {
			return fmt.Errorf("Heartbeats(%v, %v, %d): use an interval and a timeout above zero and no negative number of fails, as in Heartbeats(5*time.Second, 5*time.Second, 2)",
				interval, timeout, fails)
		}
		c.heartbeatInterval, c.heartbeatTimeout, c.heartbeatFails = interval, timeout, fails
		return nil
	}
}

// Credentials makes the server ask clients for this user and password. They
// are not made part of [Server.URL]: a client gives them by its own means, such
// as nats.UserInfo. Without this option anyone may connect.
func Credentials(user, password string) Option {
	return func(c *config) error {
		if user == "" || password == "" {
			return errors.New("Credentials: give both a user and a password, or leave the option out to let anyone connect")
		}
		c.user, c.password = user, password
		return nil
	}
}

// Logger sends the server's log lines to l: its notices at level Info, and what
// the streaming server tells about every client and subscription at level Debug
// if l has that level enabled when the server starts. Each line has the
// attribute part, which is "streaming" or "nats"; none comes after Shutdown has
// returned. The handler of l must not call the server. Without this option, and
// with nil, the server is quiet.
func Logger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		c.log = l
		return nil
	}
}

// MaxPayload sets how many bytes a message may have on the wire: an event's
// data, and up to some hundred bytes around it. The server cuts off a client
// that sends more. From 1024 bytes to 64 MiB; the default is 1 MiB.
func MaxPayload(n int) Option {
	return func(c *config) error {
		if n < leastMaxPayload || n > mostMaxPayload {
			return fmt.Errorf("MaxPayload(%d): use %d to %d bytes", n, leastMaxPayload, mostMaxPayload)
		}
		c.maxPayload = n
		return nil
	}
}

// MaxChannels sets how many channels (subjects of events) the server keeps; a
// publish or subscribe that would need one more fails. Zero means no limit; the
// default is 100.
func MaxChannels(n int) Option {
	return limit("MaxChannels", n, func(l *stores.StoreLimits) { l.MaxChannels = n })
}

// MaxSubscriptions sets how many subscriptions a channel may have, those of
// durable subscribers that are away included. Zero means no limit; the default
// is 1000.
func MaxSubscriptions(n int) Option {
	return limit("MaxSubscriptions", n, func(l *stores.StoreLimits) { l.MaxSubscriptions = n })
}

// MaxMessages sets how many events a channel keeps: beyond it every new event
// pushes out the oldest one, delivered or not. Zero means no limit; the default
// is 1000000.
func MaxMessages(n int) Option {
	return limit("MaxMessages", n, func(l *stores.StoreLimits) { l.MaxMsgs = n })
}

func limit(name string, n int, set func(*stores.StoreLimits)) Option {
	return func(c *config) error {
		if n < 0 {
			return fmt.Errorf("%s(%d): use a number above zero, or 0 for no limit", name, n)
		}
		set(&c.limits)
		return nil
	}
}

// WithoutJetStream switches JetStream off, which is otherwise there beside NATS
// Streaming: for finding out what a client says about a server that has none.
func WithoutJetStream() Option {
	return func(c *config) error {
		c.noJetStream = true
		return nil
	}
}

// JetStreamSize sets how many bytes JetStream may keep in files, those of all
// streams together: what would need more is refused. The default is most of
// what the disk has left.
func JetStreamSize(bytes int64) Option {
	return func(c *config) error {
		if bytes <= 0 {
			return fmt.Errorf("JetStreamSize(%d): use a number of bytes above zero, or leave the option out for what the disk has", bytes)
		}
		c.jetStreamSize = bytes
		return nil
	}
}
