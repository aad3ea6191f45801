// Package session is what a client shares with the publishers and listeners
// made from it, and nobody else needs to see.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Session is safe for concurrent use. Its exported fields do not change.
type Session struct {
	Conn   transport.Conn
	Log    *slog.Logger
	Window *publishing.Window // of publishes in flight

	// GeneratedID: the client ID was not given by the caller, so that what the
	// broker ties to it is lost with the process.
	GeneratedID bool

	// LoggedPayload is how many bytes of a payload the log may tell; 0: none. It is set
	// before anyone has the session.
	LoggedPayload int

	// Observers are told of all events of the client. It is set before anyone has the session.
	Observers []observe.Observer
	// Defaults is set before anyone has the session.
	Defaults Defaults

	notify   func(transport.Event)
	sender   func() *publishing.Sender // made with the first call, when Observers are set
	mu       sync.Mutex
	closing  bool
	drainers map[*Drainer]struct{}

	degradedMu sync.Mutex               // also keeps what notify is told in order
	degraded   map[string]map[any]error // by reason and by who gave it: the error
}

// Defaults is what the client's options say of all its listeners and publishers:
// slices of those packages' options, which this one can't name. Nil: nothing.
type Defaults struct{ Listeners, Publishers any }

// New returns a session on conn. notify, the one that the connection has, is told
// what publishers and listeners find out.
func New(conn transport.Conn, log *slog.Logger, window int, generatedID bool, notify func(transport.Event)) *Session {
	s := &Session{
		Conn: conn, Log: log, GeneratedID: generatedID,
		Window:   publishing.NewWindow(window),
		notify:   notify,
		drainers: make(map[*Drainer]struct{}),
		degraded: make(map[string]map[any]error),
	}
	s.sender = sync.OnceValue(func() *publishing.Sender { return s.NewSender(publishing.Config{}) })
	return s
}

// Degrade makes the client degraded: it works, but not all of it. reason says what
// does not, and stands for it until each of those who gave it has taken it back; err,
// unless it is nil, says why. Saying it again only renews err.
func (s *Session) Degrade(by any, reason string, err error) {
	s.degradedMu.Lock()
	defer s.degradedMu.Unlock()
	if s.degraded[reason] == nil {
		s.degraded[reason] = make(map[any]error, 1)
	}
	s.degraded[reason][by] = err
	s.notify(transport.Event{Kind: transport.Degraded, Time: time.Now(), Reason: reason, Err: err})
}

// Recover takes reason back. It ends what it stands for, unless it holds of others.
func (s *Session) Recover(by any, reason string) {
	s.degradedMu.Lock()
	defer s.degradedMu.Unlock()
	delete(s.degraded[reason], by)
	for _, err := range s.degraded[reason] {
		s.notify(transport.Event{Kind: transport.Degraded, Time: time.Now(), Reason: reason, Err: err})
		return
	}
	delete(s.degraded, reason)
	s.notify(transport.Event{Kind: transport.Recovered, Time: time.Now(), Reason: reason})
}

// Drainer is something that has to end before the connection does: a listener
// that listens.
type Drainer struct {
	// Drain ends it; it returns when it is over, or when ctx is done.
	Drain func(ctx context.Context) error
}

// AddDrainer adds what has to end, to be drained by Close. After Close has begun it returns
// transport.ErrClosed.
func (s *Session) AddDrainer(m *Drainer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return transport.ErrClosed
	}
	s.drainers[m] = struct{}{}
	return nil
}

// RemoveDrainer removes one that has ended.
func (s *Session) RemoveDrainer(m *Drainer) {
	s.mu.Lock()
	delete(s.drainers, m)
	s.mu.Unlock()
}

// Close drains the drainers, side by side, while publishing still works, since
// their handlers may publish; then the publishes in flight; then it closes the
// connection. It goes on to the next step when ctx is done, and returns what
// went wrong, joined.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	drainers := make([]*Drainer, 0, len(s.drainers))
	for m := range s.drainers {
		drainers = append(drainers, m)
	}
	s.mu.Unlock()

	errs := make([]error, len(drainers), len(drainers)+2)
	var wg sync.WaitGroup
	for i, d := range drainers {
		wg.Go(func() { errs[i] = d.Drain(ctx) })
	}
	wg.Wait()
	s.Window.Close()
	return errors.Join(append(errs, s.closeConn(ctx))...)
}

// closeConn closes the connection. Where that can't say in time what was not confirmed,
// since nats.go makes it wait, this does: what is open is counted before the connection
// knows that the time is up, for then it gives up what is left.
func (s *Session) closeConn(ctx context.Context) error {
	closing, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	var open atomic.Int64
	stop := context.AfterFunc(ctx, func() {
		open.Store(int64(s.Window.InFlight()))
		cut(await.Cause(ctx))
	})
	defer stop()
	answered, err := await.DoWithGrace(ctx, func(context.Context) (bool, error) { return true, s.Conn.Close(closing) }, nil)
	if answered {
		return err
	}
	what := "the connection is not closed yet"
	if n := open.Load(); n > 0 {
		what += fmt.Sprintf(", and %d publishes not confirmed", n)
	}
	return fmt.Errorf("%s: %w", what, err)
}
