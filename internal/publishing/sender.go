package publishing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Config says what a Sender works with. Conn, Window and Log are required.
type Config struct {
	Conn   transport.Conn
	Window *Window // shared by all senders of a client
	Log    *slog.Logger
	// Observers are told of each publish.
	Observers []observe.Observer
	// Timeout bounds each Publish whose context has no deadline, and each PublishAsync: the
	// wait for the subject and for the window, each if its context has no deadline, and then
	// the wait for the outcome.
	// 0: nothing but the context does, and nothing bounds a PublishAsync.
	Timeout time.Duration
	// Wrap makes the error that callers get of an error that matches
	// transport.ErrNotStored or transport.ErrOutcomeUnknown. nil: they get it as it is.
	Wrap func(subject string, err error) error
}

// Sender publishes messages. It is safe for concurrent use.
type Sender struct {
	Config

	features  transport.Features
	subjects  transport.SubjectAdder // nil: the broker stores all subjects
	waiters   sync.Pool              // of *waiter
	deadlines deadlines              // of the asynchronous publishes
}

// NewSender returns a Sender.
func NewSender(c Config) *Sender {
	s := &Sender{Config: c, features: c.Conn.Features()}
	s.subjects, _ = c.Conn.(transport.SubjectAdder)
	s.waiters.New = func() any { return newWaiter(c.Window) }
	s.deadlines.conn, s.deadlines.expired, s.deadlines.epoch = c.Conn, s.timedOut, time.Now()
	return s
}

// Publish returns nil when the server has stored m. Any error matches
// transport.ErrNotStored or transport.ErrOutcomeUnknown, and its cause, ctx's included. It
// returns when ctx is done at the latest, or, where ctx has no deadline, after the Timeout.
//
// An ID or a header that the broker can't carry is left out. Where the broker recognises
// message IDs, a message without one gets a random one. The caller may reuse m.Data after
// Publish returns, but not m.Header.
func (s *Sender) Publish(ctx context.Context, m transport.Message) error {
	started := time.Now()
	watch := s.prepare(&m)
	if err := s.addSubject(ctx, m.Subject); err != nil {
		return s.refuse(watch, m.Subject, err)
	}
	if err := s.acquire(ctx); err != nil {
		return s.refuse(watch, m.Subject, err)
	}
	w, _ := s.waiters.Get().(*waiter)
	defer s.waiters.Put(w)
	watch.sent()
	ticket := s.Conn.Publish(m, w)

	var timeout <-chan time.Time
	if _, bounded := ctx.Deadline(); !bounded && s.Timeout > 0 {
		timeout = w.after(s.Timeout - time.Since(started))
		defer w.timer.Stop()
	}
	var cause error
	select {
	case err := <-w.outcome:
		return s.decide(watch, m.Subject, err, nil)
	case <-ctx.Done():
		cause = Cause(ctx)
	case <-timeout:
		cause = s.timedOut()
	}
	s.Conn.Abandon(ticket)
	return s.decide(watch, m.Subject, <-w.outcome, cause)
}

// PublishAsync returns once m is handed to the connection; p tells the outcome, after the
// Timeout at the latest. ctx bounds the wait for the window only, and for the subject to be
// added where the broker does not store it yet. An error matches
// transport.ErrNotStored and means that m is not sent; p can be used for another publish
// then. What Publish says of m is true here, too.
func (s *Sender) PublishAsync(ctx context.Context, m transport.Message, p *Pending) error {
	watch := s.prepare(&m)
	if err := s.addSubject(ctx, m.Subject); err != nil {
		return s.refuse(watch, m.Subject, err)
	}
	if err := s.acquire(ctx); err != nil {
		return s.refuse(watch, m.Subject, err)
	}
	p.sender, p.subject, p.watch = s, m.Subject, watch
	watch.sent()
	p.ticket = s.Conn.Publish(m, (*receipt)(p))
	if s.Timeout > 0 {
		s.deadlines.add(p, s.Timeout)
	}
	return nil
}

// Refuse tells the observers that m is not published because of err, and returns the
// caller's error, which matches transport.ErrNotStored.
func (s *Sender) Refuse(m transport.Message, err error) error {
	return s.refuse(s.watch(&m), m.Subject, err)
}

// prepare gives m an ID where that helps, and leaves out what the broker can't carry. The
// watch has the ID that the caller gave even where the broker has no use for it.
func (s *Sender) prepare(m *transport.Message) *watch {
	if s.features.Deduplicate && m.ID == "" {
		m.ID = rand.Text()
	}
	if !s.features.Headers {
		m.Header = nil
	}
	watch := s.watch(m)
	if !s.features.Deduplicate {
		m.ID = ""
	}
	return watch
}

// addSubject has the broker store the subject, if it does not yet: once for each subject and
// connection. It waits for that until ctx is done or, where ctx has no deadline, the Timeout
// has passed. If it can't find out, the publish will show.
func (s *Sender) addSubject(ctx context.Context, subject string) error {
	if s.subjects == nil || s.subjects.Takes(subject) {
		return nil
	}
	bounded := ctx
	if _, given := ctx.Deadline(); !given && s.Timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	err := s.subjects.AddSubject(bounded, subject)
	switch {
	case err == nil, errors.Is(err, transport.ErrInvalid):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("the server was still to be told to store subject %q: %w", subject, Cause(ctx))
	case bounded.Err() != nil:
		return fmt.Errorf("the server was still to be told to store subject %q after %v (option Timeout): %w", subject, s.Timeout, context.DeadlineExceeded)
	default:
		return nil
	}
}

// acquire takes a slot of the window. It waits for one until ctx is done or, where ctx has
// no deadline, the Timeout has passed.
func (s *Sender) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return Cause(ctx)
	}
	if ok, err := s.Window.TryAcquire(); ok || err != nil {
		return err
	}
	var timeout <-chan time.Time
	if _, bounded := ctx.Deadline(); !bounded && s.Timeout > 0 {
		w, _ := s.waiters.Get().(*waiter)
		defer s.waiters.Put(w)
		timeout = w.after(s.Timeout)
		defer w.timer.Stop()
	}
	err := s.Window.Acquire(ctx, timeout)
	switch {
	case err == nil, errors.Is(err, transport.ErrClosed):
		return err
	case errors.Is(err, ErrWindowFull):
		err = fmt.Errorf("no slot within %v (option Timeout): %w", s.Timeout, context.DeadlineExceeded)
	default:
		err = Cause(ctx)
	}
	return fmt.Errorf("the window of publishes in flight is full (client option PublishWindow): %w", err)
}

// timedOut is the cause of a publish that the Timeout has ended.
func (s *Sender) timedOut() error {
	return fmt.Errorf("no confirmation from the server within %v (option Timeout): %w", s.Timeout, context.DeadlineExceeded)
}

// decide makes the caller's error from the connection's, and from what ended the wait for
// it, and tells the observers.
func (s *Sender) decide(watch *watch, subject string, err, cause error) error {
	if err != nil {
		if cause != nil {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		err = s.wrap(subject, err)
	}
	watch.decided(err)
	return err
}

// refuse makes the caller's error of a publish that is not sent, and tells the observers.
func (s *Sender) refuse(watch *watch, subject string, err error) error {
	return s.decide(watch, subject, fmt.Errorf("%w: %w", transport.ErrNotStored, err), nil)
}

func (s *Sender) wrap(subject string, err error) error {
	if s.Wrap == nil {
		return err
	}
	return s.Wrap(subject, err)
}
