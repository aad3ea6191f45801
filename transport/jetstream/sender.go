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
	return outbox.Policy{RepeatWindow: repeatWindow, Silence: silence, RetryWait: unansweredWait, RetryFor: unansweredFor, Permissions: true}
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
	onSilence  func(subject string) // is told of a publish that nobody answers; nil: nobody is told
	// check waits until the NATS server has taken or refused all that was sent before, and
	// onForbidden was called for all that it has refused. Otherwise it returns an error. nil:
	// the server refuses nothing.
	check func(context.Context) error

	mu         sync.Mutex // guards what follows
	outbox     *outbox.Outbox
	forbidden  map[string]struct{} // subjects that may not be published to, as the owner was told
	generation uint64              // of the connection: grows with each reconnect
	losses     uint64              // how often the outbox was told that the connection is gone
	timer      *time.Timer
	timerAt    time.Time // when the timer fires; zero: it does not run
	stopped    bool
}

// newSender returns a sender for a connection that is about to be made.
func newSender(policy outbox.Policy) *sender {
	s := &sender{wake: make(chan struct{}, 1), outbox: outbox.New(policy), forbidden: make(map[string]struct{}), generation: 1}
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
	s.disconnected()
}

// disconnected is called with s.mu held.
func (s *sender) disconnected() {
	s.losses++
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
		if s.outbox.CheckDue() {
			losses := s.losses
			s.mu.Unlock()
			s.checkRefusals(losses)
			continue
		}
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
	following, check := due{next, s.generation}, s.outbox.CheckDue()
	s.mu.Unlock()
	if check || outcome.Decided() {
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
		s.disconnected() // the callback that says so is on its way
	}
	more := s.outbox.TakeDecided()
	s.mu.Unlock()
	outcome.Tell()
	tell(more)
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
	subject, silent := s.outbox.Silent()
	s.mu.Unlock()
	if silent && s.onSilence != nil {
		s.onSilence(subject)
	}
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
	if len(s.forbidden) > 0 {
		if subject, ok := s.outbox.Subject(t); ok {
			delete(s.forbidden, subject)
		}
	}
	outcome, more := s.outbox.Stored(t, a), s.outbox.TakeDecided()
	s.mu.Unlock()
	tell(more)
	return outcome
}

// onRefused says that the stream has not stored that attempt and will not.
func (s *sender) onRefused(t transport.Ticket, a outbox.Attempt, cause error) outbox.Outcome {
	s.mu.Lock()
	outcome, more := s.outbox.NotStored(t, a, cause), s.outbox.TakeDecided()
	s.mu.Unlock()
	tell(more)
	return outcome
}

// onAmbiguousAnswer says that the answer to that attempt leaves open what became of it.
func (s *sender) onAmbiguousAnswer(t transport.Ticket, a outbox.Attempt, cause error) outbox.Outcome {
	s.mu.Lock()
	outcome, more := s.outbox.Ambiguous(t, a, cause), s.outbox.TakeDecided()
	s.mu.Unlock()
	tell(more)
	return outcome
}

// retry has a publish sent again that nobody took. It returns false if that has gone on
// for too long.
func (s *sender) retry(t transport.Ticket, a outbox.Attempt) bool {
	s.mu.Lock()
	again := s.outbox.RefusedForNow(t, a, time.Now())
	more := s.outbox.TakeDecided()
	if again {
		s.setTimer(unansweredWait)
	}
	s.mu.Unlock()
	tell(more)
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
	outcome := s.outbox.Abandon(t)
	if s.outbox.CheckDue() {
		s.wakeWriter()
	}
	return outcome
}

// onForbidden says that the NATS server has refused one attempt on that subject for want of a
// permission, which cause names. It reports whether the owner is to be told: once, until a
// later publish on the subject is stored, since the error of each publish says it, too.
func (s *sender) onForbidden(subject string, cause error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outbox.Forbidden(subject, cause) {
		s.wakeWriter()
	}
	_, told := s.forbidden[subject]
	s.forbidden[subject] = struct{}{}
	return !told
}

// checkWait bounds a check of what was refused. A link that is dead is noticed earlier.
const checkWait = 5 * time.Second

// checkRefusals has the outbox learn which publishes the NATS server has refused. losses is how
// often the connection was lost before.
func (s *sender) checkRefusals(losses uint64) {
	var err error
	if s.check != nil {
		ctx, cancel := context.WithTimeout(context.Background(), checkWait)
		defer cancel()
		err = s.check(ctx)
	}
	s.mu.Lock()
	var decided []outbox.Outcome
	if losses == s.losses { // else the outbox asks for another check
		decided = s.outbox.Checked(err == nil)
	}
	s.mu.Unlock()
	tell(decided)
}

func tell(outcomes []outbox.Outcome) {
	for _, o := range outcomes {
		o.Tell()
	}
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
