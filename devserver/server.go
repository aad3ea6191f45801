package devserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
	streaming "github.com/nats-io/nats-streaming-server/server"
	"github.com/nats-io/nats-streaming-server/stores"
)

// ErrMemoryStore is what [Server.Restart] returns for a server without
// [StoreDir].
var ErrMemoryStore = errors.New("events are kept in memory and a restart would lose them: " +
	"start the server with StoreDir to keep them, or call RestartEmpty if losing them is what you want")

// A Server is a running server, made by [Start]. Its methods may be called by
// several goroutines at once.
type Server struct {
	clusterID, url, monitorURL string // the same all its life

	mu      sync.Mutex // held for as long as a Restart or Shutdown takes
	conf    config     // with the ports that were taken at the first start
	store   *storage
	running *process // nil while it's down
	gone    bool     // Shutdown was called
}

// process is a streaming server with its embedded one, or the latter alone.
type process struct {
	nats     *nats.Server
	log      *logAdapter
	shutdown func()
}

// Start starts a server and returns once clients can connect to it, which takes
// some tenths of a second at most unless a large store is to be read. It fails,
// and leaves nothing behind, if an option is wrong, a port is taken, or the
// store can't be used. The caller ends the server with [Server.Shutdown].
func Start(opts ...Option) (*Server, error) {
	conf, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("devserver: %w", err)
	}
	s, err := start(conf)
	if err != nil {
		return nil, fmt.Errorf("devserver: %w", err)
	}
	return s, nil
}

// start is Start with all that was found out about the options.
func start(conf config) (*Server, error) {
	if err := conf.freePorts(); err != nil {
		return nil, err
	}
	store, err := openStorage(conf.storeDir)
	if err != nil {
		return nil, err
	}
	s := &Server{clusterID: conf.clusterID, conf: conf, store: store}
	if err := s.run(); err != nil {
		store.close()
		return nil, err
	}
	s.url = "nats://" + reachable(s.conf.host, s.conf.port)
	if conf.monitor {
		s.monitorURL = "http://" + reachable(s.conf.host, s.conf.monitorPort)
	}
	return s, nil
}

// URL is where clients connect to, such as nats://127.0.0.1:41234. It stays the
// same through every restart, and is answered after Shutdown too.
func (s *Server) URL() string { return s.url }

// MonitorURL is where the monitoring is, such as http://127.0.0.1:41235, with
// no slash at its end; empty without [MonitorPort].
func (s *Server) MonitorURL() string { return s.monitorURL }

// ClusterID is the name that clients give as the cluster they connect to.
func (s *Server) ClusterID() string { return s.clusterID }

// Shutdown stops the server, waits until it's down and its ports are free, and
// removes what it made, except for the files in its [StoreDir]. Clients see
// their connections break. Calling it again does nothing; to have the server
// back, Start a new one.
func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.gone = true
	s.stop()
	s.store.close()
}

// Restart stops the server and starts it again on the same ports and the same
// store, and returns once clients can connect again. To them it's a server that
// went away for a moment: they reconnect to it, and it knows them and their
// subscriptions.
//
// Without [StoreDir] it does nothing and returns [ErrMemoryStore]. Any other
// error means that the server is down now, as after a port that someone else
// has taken in between; Restart can then be tried again.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store.temporary {
		return fmt.Errorf("devserver: Restart: %w", ErrMemoryStore)
	}
	return s.restart("Restart", nil)
}

// RestartEmpty is Restart for a server without [StoreDir]: it comes back on the
// same ports with nothing in it, neither events nor JetStream streams, and
// knows no client. With StoreDir it does nothing and returns an error. Other
// errors are as with Restart.
func (s *Server) RestartEmpty() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.store.temporary {
		return fmt.Errorf("devserver: RestartEmpty: the events in %s are kept: Shutdown the server and Start one with another StoreDir to begin with none", s.conf.storeDir)
	}
	return s.restart("RestartEmpty", s.store.empty)
}

// restart is both restarts; meanwhile is what to do while the server is down.
func (s *Server) restart(name string, meanwhile func() error) error {
	if s.gone {
		return fmt.Errorf("devserver: %s: the server was shut down: Start a new one", name)
	}
	s.stop()
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return fmt.Errorf("devserver: %s: %w", name, err)
		}
	}
	for deadline := time.Now().Add(s.conf.portWait); ; time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // a restart has no context, and portWait ends the wait
		err := s.conf.freePorts()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("devserver: %s: %w", name, err)
		}
	}
	if err := s.run(); err != nil {
		return fmt.Errorf("devserver: %s: %w", name, err)
	}
	return nil
}

// run starts the servers and notes which ports they got.
func (s *Server) run() error {
	log := &logAdapter{out: s.conf.log}
	natsOpts := s.natsOptions()
	launch := s.launchStreaming
	if s.conf.noStreaming {
		launch = launchNATS
	}
	running, err := launch(natsOpts, log)
	if err != nil {
		log.silence()
		return startError(err, log.cause())
	}
	s.running = running
	s.conf.port = natsOpts.Port // any free port has become a number by now
	if s.conf.monitor {
		_, port, err := net.SplitHostPort(log.monitor())
		if err == nil {
			s.conf.monitorPort, err = strconv.Atoi(port)
		}
		if err != nil {
			s.stop()
			return fmt.Errorf("the server did not tell its monitoring port, as this version should: %w", err)
		}
	}
	return nil
}

func (s *Server) launchStreaming(o *nats.Options, log *logAdapter) (*process, error) {
	srv, err := streaming.RunServerWithOpts(s.streamingOptions(log), o)
	if err != nil {
		return nil, err
	}
	return &process{nats: embedded(srv), log: log, shutdown: srv.Shutdown}, nil
}

// current is what runs, nil while the server is down.
func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func (s *Server) stop() {
	if s.running != nil {
		s.running.shutdown()
		s.running.log.silence()
		s.running = nil
	}
}

func (s *Server) streamingOptions(log *logAdapter) *streaming.Options {
	o := streaming.GetDefaultOptions()
	o.ID = s.conf.clusterID
	o.CustomLogger = log
	o.Debug = s.conf.log.Enabled(context.Background(), slog.LevelDebug)
	o.StoreLimits = s.conf.limits
	o.ClientHBInterval = s.conf.heartbeatInterval
	o.ClientHBTimeout = s.conf.heartbeatTimeout
	o.ClientHBFailCount = s.conf.heartbeatFails
	if s.store.streaming != "" {
		o.StoreType = stores.TypeFile
		o.FilestoreDir = s.store.streaming
	}
	if len(s.conf.users) > 0 {
		o.Username, o.Password = ownUser, s.conf.users[0].Password
	}
	if s.conf.member != nil {
		o.Clustering = s.conf.member.streaming(s.store.dir)
	}
	return o
}

func (s *Server) natsOptions() *nats.Options {
	o := &nats.Options{
		Host:              s.conf.host,
		Port:              natsPort(s.conf.port),
		NoSigs:            true, // signals are the business of the program around it
		Username:          s.conf.user,
		Password:          s.conf.password,
		MaxPayload:        int32(s.conf.maxPayload), //nolint:gosec // G115: MaxPayload sees to it that it fits
		JetStream:         !s.conf.noJetStream,
		JetStreamMaxStore: s.conf.jetStreamSize,
		StoreDir:          s.store.dir,
	}
	s.conf.natsUsers(o)
	if s.conf.member != nil {
		s.conf.member.nats(o)
	}
	if s.conf.monitor {
		o.HTTPHost = s.conf.host
		o.HTTPPort = natsPort(s.conf.monitorPort)
	}
	return o
}

// natsPort is a port as nats-server has it, for which 0 means none.
func natsPort(p int) int {
	if p == 0 {
		return nats.RANDOM_PORT
	}
	return p
}

// freePorts finds out whether the ports can be listened on. The embedded server
// would too, but takes ten seconds over it.
func (c *config) freePorts() error {
	if err := tryListen(c.host, 0); err != nil {
		return fmt.Errorf("Host(%q): %w: use an address of this machine, such as 127.0.0.1", c.host, err)
	}
	const remedy = "end what uses it, or choose another port, or 0 for any free one"
	if err := tryListen(c.host, c.port); err != nil {
		return fmt.Errorf("Port(%d): %w: %s", c.port, err, remedy)
	}
	if c.monitor {
		if err := tryListen(c.host, c.monitorPort); err != nil {
			return fmt.Errorf("MonitorPort(%d): %w: %s", c.monitorPort, err, remedy)
		}
	}
	if c.member != nil {
		if err := tryListen(loopback, c.member.routePort()); err != nil {
			return fmt.Errorf("the port for the other nodes: %w: end what uses it", err)
		}
	}
	return nil
}

func tryListen(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // neither Start nor Restart has a context to give it
	if err != nil {
		return err
	}
	return l.Close()
}

// reachable is the address to connect to for one that is listened on, which
// may mean every address of this machine.
func reachable(host string, port int) string {
	switch ip := net.ParseIP(host); {
	case ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// startError adds what the log told to the error of a server that didn't start.
func startError(err error, cause string) error {
	switch {
	case strings.Contains(err.Error(), "does not match recovered value"):
		return fmt.Errorf("starting the server: %w: give ClusterID the one that made the store, or choose another StoreDir", err)
	case cause != "" && !strings.Contains(cause, err.Error()):
		return fmt.Errorf("starting the server: %w: %s", err, cause)
	default:
		return fmt.Errorf("starting the server: %w", err)
	}
}
