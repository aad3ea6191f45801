package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

const (
	// silence is how long a publish that has a message ID may go unanswered over a
	// connection that seems to live: its answer went down with the stream's leader. Then
	// it is sent again.
	silence = 2 * time.Second
	// unansweredWait is how long after a publish of which the server says that nobody takes it
	// the publish is sent again, and unansweredFor for how long: while a stream elects its
	// leader, nobody stores anything.
	unansweredWait = 250 * time.Millisecond
	unansweredFor  = 10 * time.Second
)

// publishPolicy is when a publish is sent again. repeatWindow returns how long the stream
// recognises a message ID.
func publishPolicy(repeatWindow func() time.Duration) outbox.Policy {
	return outbox.Policy{RepeatWindow: repeatWindow, Silence: silence, RetryWait: unansweredWait, RetryFor: unansweredFor}
}

// natsWriter is the part of a NATS connection that the sender writes to.
type natsWriter interface {
	PublishMsg(m *nats.Msg) error // which copies m
	MaxPayload() int64
	ForceReconnect() error
}

// sender is the shell around the outbox: its lock, a goroutine that writes, and one timer.
// A write into a socket that takes nothing must not hold up who publishes, so that only
// the writer's goroutine writes. It is safe for concurrent use.
type sender struct {
	nats       natsWriter
	answers    string       // prefix of the subjects on which publishes are answered
	maxPayload atomic.Int64 // of the server connected to last
	wake       chan struct{}

	mu         sync.Mutex // guards what follows
	outbox     *outbox.Outbox
	generation uint64 // of the connection: grows with each reconnect
	timer      *time.Timer
	timerAt    time.Time // when the timer fires; zero: it does not run
	stopped    bool
}

// newSender returns a sender for a connection that is about to be made.
func newSender(policy outbox.Policy) *sender {
	s := &sender{wake: make(chan struct{}, 1), outbox: outbox.New(policy), generation: 1}
	s.outbox.Connected(false)
	return s
}

// attach gives the sender its connection, before anything else but onDisconnect and
// onReconnect is called.
func (s *sender) attach(nc natsWriter, answers string) {
	s.nats, s.answers = nc, answers
	s.maxPayload.Store(nc.MaxPayload())
}

// publish takes a publish in, or returns why not.
func (s *sender) publish(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	s.mu.Lock()
	t, err := s.outbox.Add(m, r)
	if err == nil && s.timerAt.IsZero() {
		s.setTimer(silence)
	}
	s.mu.Unlock()
	if err == nil {
		s.wakeWriter()
	}
	return t, err
}

func (s *sender) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look
	}
}

// onDisconnect says that the connection is gone: nothing is sent until the next.
func (s *sender) onDisconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outbox.Disconnected()
}

// onReconnect says that there is another connection. What went into the one that is gone
// is sent again: it may be stored, and its message ID keeps it from being stored twice, as
// long as the stream recognises that.
func (s *sender) onReconnect() {
	s.mu.Lock()
	s.generation++
	s.outbox.Connected(false)
	s.mu.Unlock()
	s.wakeWriter()
}

// write sends what is due, until done is closed.
func (s *sender) write(done <-chan struct{}) {
	var m nats.Msg
	for {
		select {
		case <-s.wake:
		case <-done:
			return
		}
		s.maxPayload.Store(s.nats.MaxPayload()) // of another server it may be another
		s.writeDue(&m)
	}
}

// writeDue sends what is due now, each publish as m.
func (s *sender) writeDue(m *nats.Msg) {
	d := s.next()
	for d.publish != nil {
		d = s.send(d, m)
	}
}

// due is a publish that the writer has, and the generation of the connection that it is for.
type due struct {
	publish    *outbox.PendingPublish
	generation uint64
}

// next returns what to send now, if there is anything.
func (s *sender) next() due {
	for {
		s.mu.Lock()
		p, outcome := s.outbox.Next(time.Now())
		d := due{p, s.generation}
		s.mu.Unlock()
		if p != nil || !outcome.Decided() {
			return d
		}
		outcome.Tell()
	}
}

// send sends d as m, and returns what to send next.
func (s *sender) send(d due, m *nats.Msg) due {
	p := d.publish
	ticket, attempt := p.Ticket(), p.Attempt()
	m.Subject, m.Reply, m.Header, m.Data = p.Message.Subject, answerSubject(s.answers, ticket, attempt), nats.Header(p.Message.Header), p.Message.Data
	err := s.nats.PublishMsg(m)
	final := s.finalError(m, err)
	m.Header, m.Data = nil, nil // which belong to the outbox from here on
	if err != nil {
		s.notSent(d, err, final)
		return s.next()
	}
	s.mu.Lock()
	s.outbox.Written(p, false)
	next, outcome := s.outbox.Next(time.Now()) // under the same lock, for which others wait
	following := due{next, s.generation}
	s.mu.Unlock()
	if outcome.Decided() {
		outcome.Tell()
		return s.next()
	}
	return following
}

// notSent takes in that sending d failed; final is why nothing of it ever leaves, nil if that
// is not so.
func (s *sender) notSent(d due, err, final error) {
	unsent := errors.Is(err, nats.ErrReconnectBufExceeded)
	var outcome outbox.Outcome
	s.mu.Lock()
	if final != nil {
		outcome = s.outbox.NotStored(d.publish.Ticket(), d.publish.Attempt(), final)
	}
	s.outbox.Written(d.publish, unsent)
	if unsent && d.generation == s.generation {
		s.outbox.Disconnected() // the callback that says so is on its way
	}
	s.mu.Unlock()
	outcome.Tell()
	if !unsent && final == nil {
		// A write that failed may have been partial, and nats.go has dropped what else it
		// was to carry. It is sent again with the next connection.
		_ = s.nats.ForceReconnect()
	}
}

// finalError returns why nothing of m has left and never will, nil if that is not so.
func (s *sender) finalError(m *nats.Msg, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		if told := tooLarge(m, s.nats.MaxPayload()); told != nil {
			return told
		}
		return fmt.Errorf("%w: %w", transport.ErrTooLarge, err) // the limit has become larger since
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		return err
	default:
		return nil
	}
}

// tick sends what is due by now.
func (s *sender) tick() {
	s.mu.Lock()
	s.timerAt = time.Time{}
	s.setTimer(s.outbox.Tick(time.Now()))
	s.mu.Unlock()
	s.wakeWriter()
}

// setTimer has tick called after that time, or earlier. It is called with s.mu held.
func (s *sender) setTimer(after time.Duration) {
	if after <= 0 || s.stopped {
		return
	}
	at := time.Now().Add(after)
	if !s.timerAt.IsZero() && !at.Before(s.timerAt) {
		return
	}
	s.timerAt = at
	if s.timer == nil {
		s.timer = time.AfterFunc(after, s.tick)
	} else {
		s.timer.Reset(after)
	}
}

// onStored says that the stream has stored a publish.
func (s *sender) onStored(t transport.Ticket, a outbox.Attempt) outbox.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Stored(t, a)
}

// onRefused says that the stream has not stored that attempt and will not.
func (s *sender) onRefused(t transport.Ticket, a outbox.Attempt, cause error) outbox.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.NotStored(t, a, cause)
}

// onAmbiguousAnswer says that the answer to that attempt leaves open what became of it.
func (s *sender) onAmbiguousAnswer(t transport.Ticket, a outbox.Attempt, cause error) outbox.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Ambiguous(t, a, cause)
}

// retry has a publish sent again that nobody took. It returns false if that has gone on
// for too long.
func (s *sender) retry(t transport.Ticket, a outbox.Attempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := s.outbox.RefusedForNow(t, a, time.Now())
	if again {
		s.setTimer(unansweredWait)
	}
	return again
}

// subject returns that of a publish whose outcome is not known.
func (s *sender) subject(t transport.Ticket) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Subject(t)
}

func (s *sender) abandon(t transport.Ticket) outbox.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Abandon(t)
}

// close makes publish return reason from now on.
func (s *sender) close(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outbox.Close(reason)
}

// drain waits for the publishes under way, until ctx is done.
func (s *sender) drain(ctx context.Context) error {
	s.mu.Lock()
	empty := s.outbox.Empty()
	s.mu.Unlock()
	return outbox.Drain(ctx, empty, func() *outbox.Left {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.outbox.Left()
	})
}

// end decides the publishes that are left, because of reason, and stops the timer.
func (s *sender) end(reason error) {
	s.mu.Lock()
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
	tickets := s.outbox.Tickets()
	s.mu.Unlock()
	for _, t := range tickets {
		s.abandon(t).Because(reason).Tell()
	}
}
