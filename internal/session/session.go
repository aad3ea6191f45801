// Package session holds what a client shares with its publishers, its listeners and
// Redrive, and with nobody else: the connection, the window of publishes, the log, the
// observers and the defaults. It also closes all of them in the right order.
package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/plural"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Session is what one client shares. It is safe for concurrent use. Its exported fields do
// not change once the client is built.
type Session struct {
	Conn   transport.Conn
	Log    *slog.Logger
	Window *publishing.Window // of publishes in flight

	// GeneratedID says that the library made the client ID up. The next process gets
	// another one, so that what the broker ties to the ID is lost with this process.
	GeneratedID bool

	// LoggedPayload is how many bytes of a payload the log may show; 0: none. The client
	// sets it before it makes the session available.
	LoggedPayload int

	// Observers are told of all events of the client. The client sets them before it makes
	// the session available, and so Defaults.
	Observers []observe.Observer
	Defaults  Defaults

	// Announce, unless it is nil, hands an announcement to those who watch the client. It does
	// not block. The client sets it before it makes the session available.
	Announce func(Announcement)

	// Process returns a random name of this client, which no other client has, in this
	// process or another.
	Process func() string

	// Shared is what the listeners of the client have in common, for as long as it lives.
	Shared sync.Map

	// SuspectsTurn is that of the listener which runs an event that may end the process.
	SuspectsTurn Turn

	record   func(transport.Event) (log func())
	sender   func() *publishing.Sender // made with the first call, when Observers are set
	mu       sync.Mutex
	closing  bool
	drainers map[*Drainer]struct{}

	groups groups // in which listeners of this client listen

	degradedMu sync.Mutex               // also keeps what record is told in order
	degraded   map[string]map[any]error // by reason and by who gave it: the error
}

// Defaults are the options that all listeners and all publishers of the client get:
// []listener.Option and []publisher.Option, which this package can't import. nil: none.
type Defaults struct{ Listeners, Publishers any }

// New returns a session on conn, with a window of that many publishes. Degrade and Recover
// call record with their events, in order and under a lock. Record returns what logs the
// event; that is called without the lock, since a log may be slow, or call back.
func New(conn transport.Conn, log *slog.Logger, window int, generatedID bool, record func(transport.Event) (log func())) *Session {
	s := &Session{
		Conn: conn, Log: log, GeneratedID: generatedID,
		Window:   publishing.NewWindow(window),
		Process:  sync.OnceValue(rand.Text),
		record:   record,
		drainers: make(map[*Drainer]struct{}),
		degraded: make(map[string]map[any]error),
	}
	s.sender = sync.OnceValue(func() *publishing.Sender { return s.NewSender(publishing.Config{}) })
	return s
}

// Degrade makes the client degraded: it works, but not all of it. reason says what does
// not, and err, unless it is nil, says why. The client stays degraded for that reason until
// everybody who gave it has called Recover. Calling Degrade again only replaces err.
func (s *Session) Degrade(by any, reason string, err error) { s.RecordDegraded(by, reason, err)() }

// RecordDegraded is Degrade without its log line, for who holds a lock: log writes the line,
// and is to be called when the lock is released. log is never nil.
func (s *Session) RecordDegraded(by any, reason string, err error) (log func()) {
	s.degradedMu.Lock()
	defer s.degradedMu.Unlock()
	if s.degraded[reason] == nil {
		s.degraded[reason] = make(map[any]error, 1)
	}
	s.degraded[reason][by] = err
	return s.record(transport.Event{Kind: transport.Degraded, Time: time.Now(), Reason: reason, Err: err})
}

// Recover ends what Degrade began. The client stays degraded for that reason as long as
// others have given it, too.
func (s *Session) Recover(by any, reason string) { s.RecordRecovered(by, reason)() }

// RecordRecovered is to Recover what RecordDegraded is to Degrade.
func (s *Session) RecordRecovered(by any, reason string) (log func()) {
	return s.recordRecovered(by, reason, nil)
}

func (s *Session) recordRecovered(by any, reason string, why error) (log func()) {
	s.degradedMu.Lock()
	defer s.degradedMu.Unlock()
	delete(s.degraded[reason], by)
	for _, err := range s.degraded[reason] {
		return s.record(transport.Event{Kind: transport.Degraded, Time: time.Now(), Reason: reason, Err: err})
	}
	delete(s.degraded, reason)
	return s.record(transport.Event{Kind: transport.Recovered, Time: time.Now(), Reason: reason, Err: why})
}

// errEnded is what an event says that takes back what nobody reports any more.
var errEnded = errors.New("what reported it has ended")

// Withdraw is Recover for who has ended, so that it can't tell whether the reason is over.
func (s *Session) Withdraw(by any, reason string) { s.RecordWithdrawn(by, reason)() }

// RecordWithdrawn is to Withdraw what RecordDegraded is to Degrade.
func (s *Session) RecordWithdrawn(by any, reason string) (log func()) {
	return s.recordRecovered(by, reason, errEnded)
}

// Drainer is something that has to end before the connection is closed, such as a listener
// that listens.
type Drainer struct {
	// Drain ends it. Drain returns when that is done, or when ctx is done.
	Drain func(ctx context.Context) error
}

// AddDrainer adds a drainer that Close is to drain. After Close has begun it returns
// transport.ErrClosed.
func (s *Session) AddDrainer(d *Drainer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return transport.ErrClosed
	}
	s.drainers[d] = struct{}{}
	return nil
}

// RemoveDrainer removes a drainer that has ended by itself.
func (s *Session) RemoveDrainer(d *Drainer) {
	s.mu.Lock()
	delete(s.drainers, d)
	s.mu.Unlock()
}

// Close drains the drainers concurrently. Publishing still works meanwhile, since their
// handlers may publish. Then Close refuses further publishes and closes the connection,
// which waits for those in flight. When ctx is done, Close goes on to the next step without
// waiting. It returns what went wrong, joined.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	drainers := make([]*Drainer, 0, len(s.drainers))
	for d := range s.drainers {
		drainers = append(drainers, d)
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

// closeConn closes the connection. nats.go may block the connection's Close beyond ctx; the
// error then says, instead of the connection's, how many publishes are not confirmed. They
// are counted just before the connection learns that ctx is done, since it then gives up
// all of them.
func (s *Session) closeConn(ctx context.Context) error {
	closing, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	unconfirmed := sync.OnceValue(func() int {
		defer func() { cut(await.Cause(ctx)) }()
		return s.Window.InFlight()
	})
	stop := context.AfterFunc(ctx, func() { unconfirmed() })
	defer stop()
	answered, err := await.DoWithGrace(ctx, func(context.Context) (bool, error) { return true, s.Conn.Close(closing) }, nil)
	if answered {
		return err
	}
	what := "the connection is not closed yet"
	if n := unconfirmed(); n > 0 { // on a busy machine nobody may have counted them so far
		what += ", and " + plural.Count(n, "publish", "publishes") + " not confirmed"
	}
	return fmt.Errorf("%s: %w", what, err)
}
