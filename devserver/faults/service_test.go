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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asService makes the test program be a service, so that one can be killed, frozen and
// told to end like any other process.
const asService = "FAULTS_TEST_AS_SERVICE"

// role is what the service is to be: it listens, and publishes, if it has numbers for that.
type role struct {
	Side     string `json:"side"`
	URL      string `json:"url"`
	ClientID string `json:"clientId"`
	Setup    setup  `json:"setup"`
	First    int    `json:"first"`   // of its numbers
	Numbers  int    `json:"numbers"` // how many
}

// report is a line that it prints: once that it listens; then each event, when its
// handler begins and when it has succeeded; and each of its own, when it is about to be
// published, and what became of that.
type report struct {
	Ready      bool    `json:"ready,omitempty"`
	Begun      bool    `json:"begun,omitempty"`
	Publishing bool    `json:"publishing,omitempty"`
	Published  bool    `json:"published,omitempty"`
	Outcome    outcome `json:"outcome,omitempty"`
	N          int     `json:"n,omitempty"`
	Takes      int64   `json:"takes,omitempty"` // as the event says
	Message    message `json:"message"`
	At         int64   `json:"at"` // in nanoseconds since 1970
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
	tell := reporter(log)
	p := &source{member: m, role: r, tell: tell}
	p.publishUntil(ctx)
	err = m.listen(ctx, r.Setup, func() { tell(report{Ready: true}) }, func(e beat, m message) error {
		tell(report{N: e.N, Message: m, Begun: true, Takes: e.Takes, At: time.Now().UnixNano()})
		if err := e.perform(false); err != nil {
			return err
		}
		if e.Does == publishes {
			p.publish()
		}
		tell(report{N: e.N, Message: m, At: time.Now().UnixNano()})
		return nil
	})
	closing, cancel := context.WithTimeout(context.Background(), time.Second) // beside Listen's 2.5 s
	defer cancel()
	if closeErr := m.close(closing); err == nil {
		err = closeErr
	}
	p.running.Wait()
	return err
}

// reporter prints reports, one at a time.
func reporter(log *slog.Logger) func(report) {
	var mu sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	return func(r report) {
		mu.Lock()
		defer mu.Unlock()
		if err := lines.Encode(r); err != nil {
			log.Error("the test has ended", slog.Any("error", err))
		}
	}
}

// source is what publishes in a service.
type source struct {
	member  member
	role    role
	tell    func(report)
	used    atomic.Int64
	running sync.WaitGroup
}

// publishUntil publishes 50 events a second until ctx is done, so that the end finds
// some on their way.
func (p *source) publishUntil(ctx context.Context) {
	p.running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.running.Go(p.publish)
			}
		}
	})
}

// publish publishes an event, as long as there are numbers.
func (p *source) publish() {
	used := int(p.used.Add(1))
	if used > p.role.Numbers {
		return
	}
	n := p.role.First + used - 1
	p.tell(report{N: n, Publishing: true})
	outcome := outcomeOf(p.member.publish(beat{N: n}))
	p.tell(report{N: n, Published: true, Outcome: outcome, At: time.Now().UnixNano()})
}

// child is such a service.
type child struct {
	cmd    *exec.Cmd
	ready  chan struct{} // closed once it listens
	exited chan struct{} // closed once it has ended and all it printed is entered

	mu        sync.Mutex
	handlers  map[message]handling
	published time.Time // when it was last told that an event is stored
	end       time.Time // when it ended
}

// handling is a handler that it has told of.
type handling struct {
	takes        time.Duration // unless it is one of the usual
	begun, ended time.Time
}

// start starts a service whose handlers enter what they handle in the ledger. numbers is
// how many events it may publish.
func (c *scene) start(t *testing.T, clientID string, numbers int) *child {
	t.Helper()
	config, err := json.Marshal(role{
		Side: c.side.name, URL: c.url(), ClientID: clientID, Setup: c.setup,
		First: c.ledger.reserve(numbers), Numbers: numbers,
	})
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &child{cmd: exec.Command(exe), ready: make(chan struct{}), exited: make(chan struct{}), handlers: make(map[message]handling)}
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
			if r.Ready {
				close(s.ready)
			} else {
				s.told(r, c.ledger)
			}
		}
		s.end = time.Now() // its output ends with it; what follows takes a while on a busy machine
		enough()
		_ = s.cmd.Wait() // it was killed, or says so itself
	}()
	t.Cleanup(s.kill)
	return s
}

// told enters what it tells.
func (s *child) told(r report, l *ledger) {
	at := time.Unix(0, r.At)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Publishing:
		l.publishing(r.N)
	case r.Published:
		l.published(r.N, r.Outcome)
		if r.Outcome == confirmed && at.After(s.published) {
			s.published = at
		}
	case r.Begun:
		l.began(r.N, r.Message)
		s.handlers[r.Message] = handling{takes: time.Duration(r.Takes) * time.Millisecond, begun: at}
	default:
		l.handled(r.N, r.Message, at)
		h := s.handlers[r.Message]
		h.ended = at
		s.handlers[r.Message] = h
	}
}

// busy reports whether a handler runs that takes its time.
func (s *child) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.handlers {
		if h.takes > 0 && h.ended.IsZero() {
			return true
		}
	}
	return false
}

// since reports whether such a handler was running at that time, whether an event that it
// published was confirmed after it, and when the last handler had returned. It is for one
// that has exited.
func (s *child) since(at time.Time) (was, published bool, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = at
	for _, h := range s.handlers {
		if h.ended.After(last) {
			last = h.ended
		}
		was = was || h.takes > 0 && h.begun.Before(at) && h.ended.After(at)
	}
	return was, s.published.After(at), last
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
