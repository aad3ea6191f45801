package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asService makes the test program be a service that listens, so that one can be
// killed, frozen and told to end like any other process.
const asService = "FAULTS_TEST_AS_SERVICE"

// role is what the service is to be.
type role struct {
	Side     string `json:"side"`
	URL      string `json:"url"`
	ClientID string `json:"clientId"`
	Setup    setup  `json:"setup"`
}

// report is a line that it prints: once that it listens, then each event, when its
// handler begins and when it has succeeded.
type report struct {
	Ready   bool    `json:"ready,omitempty"`
	Begun   bool    `json:"begun,omitempty"`
	N       int     `json:"n,omitempty"`
	Message message `json:"message"`
	At      int64   `json:"at"` // in nanoseconds since 1970
}

// serve is the service: it listens until SIGTERM.
func serve(config string) int {
	var r role
	if err := json.Unmarshal([]byte(config), &r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := r.listen(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (r role) listen(ctx context.Context) error {
	chosen := map[string]side{streaming.name: streaming, jetStream.name: jetStream, raw.name: raw}[r.Side]
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	m, err := chosen.connect(ctx, chosen, r.URL, r.ClientID, log)
	for ; err != nil && !chosen.ours() && ctx.Err() == nil; m, err = chosen.connect(ctx, chosen, r.URL, r.ClientID, log) {
		log.Error("not connected", slog.Any("error", err))
		time.Sleep(time.Second) // it exits, and is started again
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	tell := func(r report) {
		mu.Lock()
		defer mu.Unlock()
		if err := lines.Encode(r); err != nil {
			log.Error("the test has ended", slog.Any("error", err))
		}
	}
	err = m.listen(ctx, r.Setup, func() { tell(report{Ready: true}) }, func(e beat, m message) error {
		tell(report{N: e.N, Message: m, Begun: true})
		if err := e.perform(false); err != nil {
			return err
		}
		tell(report{N: e.N, Message: m, At: time.Now().UnixNano()})
		return nil
	})
	closing, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond) // beside Listen's 3 s
	defer cancel()
	if closeErr := m.close(closing); err == nil {
		err = closeErr
	}
	return err
}

// child is such a service.
type child struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed once it listens
	exited chan struct{} // closed once it has ended and all it printed is entered
}

// start starts a service whose handlers enter what they handle in the ledger.
func (c *scene) start(t *testing.T, clientID string) *child {
	t.Helper()
	config, err := json.Marshal(role{Side: c.side.name, URL: c.url(), ClientID: clientID, Setup: c.setup})
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &child{cmd: exec.Command(exe), ready: make(chan struct{}), exited: make(chan struct{})}
	// The race detector waits for a second at the end, unless told otherwise.
	s.cmd.Env = append(os.Environ(), asService+"="+string(config), "GORACE=atexit_sleep_ms=0")
	s.cmd.SysProcAttr = apart
	s.cmd.Stderr = c.says
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	enough, err := mind(s.cmd.Process)
	require.NoError(t, err)
	go func() {
		defer close(s.exited)
		for lines := json.NewDecoder(stdout); ; {
			var r report
			if lines.Decode(&r) != nil {
				break // cut off in the middle, it may be
			}
			switch {
			case r.Ready:
				close(s.ready)
			case r.Begun:
				c.ledger.began(r.N, r.Message)
			default:
				c.ledger.handled(r.N, r.Message, time.Unix(0, r.At))
			}
		}
		enough()
		_ = s.cmd.Wait() // it was killed, or says so itself
	}()
	t.Cleanup(s.kill)
	return s
}

func (s *child) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-s.ready:
	case <-s.exited:
		require.FailNow(t, "the service has ended")
	case <-time.After(2 * patience):
		require.FailNow(t, "the service does not listen")
	}
}

func (s *child) ended() <-chan struct{} { return s.exited }

func (s *child) kill() {
	_ = s.cmd.Process.Kill() // an error if it has ended
	<-s.exited
}

func (s *child) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
}

// awaitExit waits until it has ended by itself.
func (s *child) awaitExit(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		require.FailNow(t, "the service does not end")
	}
}
