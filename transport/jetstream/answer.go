package jetstream

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// listenForAnswers subscribes to the answers to publishes: one subject for all, whose last
// token says which attempt is answered.
func (c *conn) listenForAnswers() error {
	sub, err := c.nc.Subscribe(c.sender.answers+"*", c.answered)
	if err != nil {
		return err
	}
	// What waits is bounded by the window of publishes in flight.
	return sub.SetPendingLimits(-1, -1)
}

// repeatWindow is for how long it is safe to send a publish again: the stream recognises
// its message ID for longer by as much as a retry may last.
func (c *conn) repeatWindow() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.Duplicates - unansweredFor
}

// answered takes an answer in.
func (c *conn) answered(m *nats.Msg) {
	t, a, ok := readAnswerToken(strings.TrimPrefix(m.Subject, c.sender.answers))
	if !ok {
		return // it answers no publish of this connection
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		c.noResponders(t, a)
		return
	}
	switch verdict, ack := c.own.Load().read(m.Data); {
	case verdict == storedAnswer:
		c.sender.onStored(t, a).Tell()
	case verdict == foreignAnswer:
		c.foreignAnswer(t, a, ack)
	case ack.Error.ErrorCode == errStreamDuplicateInProcess:
		// The cluster has not agreed yet on an earlier attempt: that is no outcome. It is
		// sent again as if nobody had answered.
	default:
		c.refused(t, a, ack.Error)
	}
}

// answerSubject returns the subject on which the stream answers that attempt: the prefix, and
// a token that names the attempt.
func answerSubject(prefix string, t transport.Ticket, a outbox.Attempt) string {
	var room [64]byte
	b := append(room[:0], prefix...)
	b = strconv.AppendUint(b, uint64(t), 36)
	b = append(b, '-')
	return string(strconv.AppendUint(b, uint64(a), 36))
}

// readAnswerToken reads the token of answerSubject.
func readAnswerToken(token string) (t transport.Ticket, a outbox.Attempt, ok bool) {
	first, second, ok := strings.Cut(token, "-")
	if !ok {
		return 0, 0, false
	}
	ticket, err := strconv.ParseUint(first, 36, 64)
	if err != nil {
		return 0, 0, false
	}
	attempt, err := strconv.ParseUint(second, 36, 32)
	return transport.Ticket(ticket), outbox.Attempt(attempt), err == nil
}

// noResponders deals with an attempt of which the server says that nobody takes it.
func (c *conn) noResponders(t transport.Ticket, a outbox.Attempt) {
	subject, pending := c.sender.subject(t)
	if !pending {
		return
	}
	c.mindSubject(subject) // the stream or its subject may be gone
	takes := c.takes(subject)
	var refused error
	if !takes {
		refused = c.addLost(subject)
	}
	if refused == nil && c.sender.retry(t, a) {
		return
	}
	err := fmt.Errorf("%w: nobody stores subject %q: %w", transport.ErrRefused, subject, refused)
	switch {
	case takes:
		err = fmt.Errorf("%w: stream %q does not answer: check that it exists and has a leader", transport.ErrRefused, c.cfg.ClusterID)
	case refused == nil:
		err = fmt.Errorf("%w: nobody stores subject %q, which could not be added to stream %q so far", transport.ErrRefused, subject, c.cfg.ClusterID)
	}
	c.sender.onRefused(t, a, err).Tell()
}

// addLost has a subject added that the stream has lost since it was first published to. It
// does not wait, and returns why the subject is not added.
func (c *conn) addLost(subject string) error {
	if !c.options.addsSubjects() {
		return errors.New(c.remedyForSubject(subject))
	}
	_, err := c.requestSubject(subject)
	return err
}

// takes reports whether the stream took the subject when it was last seen.
func (c *conn) takes(subject string) bool { return c.subjects.Load().takes(subject) }

// refused decides a publish by the error in the stream's answer to that attempt.
func (c *conn) refused(t transport.Ticket, a outbox.Attempt, err *js.APIError) {
	refused := fmt.Errorf("%w: %w", transport.ErrRefused, err)
	switch err.ErrorCode {
	case errStreamMessageExceedsMaximum:
		refused = fmt.Errorf("%w: the stream's limit on messages (MaxMsgSize): %w", transport.ErrTooLarge, err)
	case errStreamSealed:
		refused = fmt.Errorf("%w: stream %q is sealed, so that nothing can be stored in it: publish to another stream: %w", transport.ErrRefused, c.cfg.ClusterID, err)
	case errStreamStoreFailed:
		if !strings.HasPrefix(err.Description, limitReached) {
			// Other replicas may have been able to.
			c.sender.onAmbiguousAnswer(t, a, refused).Tell()
			return
		}
		refused = full(c.lastSeen(), c.options, err)
	case accountResources, memoryResources, storageResources:
		refused = accountFull(c.lastSeen(), err)
	default:
	}
	c.sender.onRefused(t, a, refused).Tell()
}

// Codes of JetStream's errors that nats.go does not name; see errors.json of
// nats-server.
const (
	errStreamMessageExceedsMaximum js.ErrorCode = 10054
	errStreamNotMatch              js.ErrorCode = 10060
	errStreamStoreFailed           js.ErrorCode = 10077
	errStreamSealed                js.ErrorCode = 10109
	errStreamDuplicateInProcess    js.ErrorCode = 10158
)
