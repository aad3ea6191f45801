package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// NoGroup stands in the subject of dead letters for the queue group of a listener
// that has none, nor a durable's name, which would stand there instead.
const NoGroup = "no-group"

// burialTimeout bounds the wait for a dead letter to be stored. After it the event
// stays unacknowledged, and storing is tried again.
const burialTimeout = 10 * time.Second

// NoDeadLetters turns dead letters off. By default an event that can't be decoded
// or, with [Validate], is not valid, whose handler returned [Reject], or whose
// attempts ([MaxAttempts]) are used up, is stored on the subject
// "dead.<queue group>.<subject>" as an [events.DeadLetter], and then acknowledged.
// Without a queue group its name is that of the durable, or [NoGroup]. As long as
// it can't be stored, the event stays unacknowledged and the client is degraded.
//
// With NoDeadLetters such an event stays unacknowledged for good: it comes again
// and is tried again, once an ack wait. When there are as many as [MaxInFlight],
// counting those that wait for one of their [OrderingKey] that is such,
// over NATS Streaming the server sends nothing more to the listener. The client is
// then degraded, until one of them is handled, here or by a listener that can.
func NoDeadLetters() Option {
	return func(o *options) error {
		o.noDeadLetters = true
		return nil
	}
}

// mourners is the group in the subject of the dead letters.
func (c *core) mourners() string {
	switch {
	case c.group != "":
		return c.group
	case c.options.durable != "":
		return c.options.durable
	default:
		return NoGroup
	}
}

// checkDeadLetters finds out, as far as can be known beforehand, whether dead
// letters can be stored.
func (c *core) checkDeadLetters(ctx context.Context) error {
	checker, ok := c.session.Conn.(transport.SubjectChecker)
	if c.options.noDeadLetters || !ok {
		return nil
	}
	subject := events.DeadLetterSubject(c.mourners(), c.subject)
	if err := checker.CheckSubject(ctx, string(subject)); errors.Is(err, transport.ErrInvalid) {
		return fmt.Errorf("dead letters can't be stored: %w; or give the listener the option NoDeadLetters", err)
	}
	return nil // what else is wrong shows in the subscription
}

// startBurial has a dead letter stored, which may take a while.
func (r *run) startBurial(e effect) {
	r.mu.Lock()
	r.chores++
	r.mu.Unlock()
	go r.bury(e)
}

func (r *run) bury(e effect) {
	s := e.work.sentence
	letter := events.NewDeadLetter(events.DeadLetter{
		Original: r.core.subject, Group: r.core.mourners(),
		Sequence: e.delivery.Sequence, Timestamp: e.delivery.Timestamp,
		Attempts: s.attempts, Error: s.err.Error(), FailedAt: s.at, Reason: s.reason,
		Header: e.delivery.Header, Data: e.delivery.Data,
	})
	err := r.store(letter)
	if err == nil {
		r.end(e.work, string(s.reason))
	}
	known := []any{
		slog.String("reason", string(s.reason)), slog.Any("error", s.err), slog.Int("deliveries", e.delivery.Deliveries),
		slog.Int("bytes", len(e.delivery.Data)), slog.String("dead_letter", string(letter.Subject())), r.payload(e.delivery),
	}
	observe(e.delivery.Settler, s.err)
	if err == nil {
		r.log.Error("event given up, and stored as a dead letter", e.attributes(known...)...)
		if o, ok := e.delivery.Settler.(session.Observer); ok {
			o.DeadLettered(string(s.reason))
		}
	} else {
		r.log.Error("event given up, but its dead letter may not be stored: the event stays unacknowledged, and storing is tried again",
			e.attributes(append(known, slog.Any("not_stored", err))...)...)
	}
	r.mu.Lock()
	if err == nil {
		r.book.buried(e.work, time.Now())
		r.lettersWell()
	} else {
		r.book.unburied(e.work, time.Now())
		r.lettersUnwell(explainLoss(err))
	}
	r.chores--
	r.unlock()
	conclude(e.delivery.Settler)
}

// store publishes a dead letter, and what is left of it if it is too large.
func (r *run) store(letter events.DeadLetter) error {
	ctx, cancel := context.WithTimeout(r.handlers, burialTimeout)
	defer cancel()
	for {
		data, err := codec.JSON{}.Encode(&letter)
		if err != nil {
			return err
		}
		err = r.core.session.Publish(ctx, transport.Message{
			Subject: string(letter.Subject()), ID: letter.ID, Data: data,
			Header: transport.Header{"Content-Type": {codec.JSON{}.ContentType()}},
		})
		if !errors.Is(err, transport.ErrTooLarge) {
			return err
		}
		shorter, ok := letter.Shorter()
		if !ok {
			return err
		}
		letter = shorter
	}
}

// end settles an event whose dead letter is stored. If the server does not get to
// know, it sends the event again, and is told then.
func (r *run) end(w *work, reason string) {
	settler, err := r.settler(w)
	if err == nil {
		if r.core.session.Conn.Features().Term {
			err = settler.Term("dead letter stored: " + reason)
		} else {
			err = settler.Ack()
		}
	}
	if err != nil {
		r.log.Warn("dead letter stored, but the acknowledgement was not sent: the event comes again, and is acknowledged then", r.attributes(w, slog.Any("error", err))...)
	}
}

// explainLoss adds what can be done about a dead letter that is not stored.
func explainLoss(err error) error {
	if strings.Contains(err.Error(), "too many channels") {
		return fmt.Errorf("%w: each group and subject with dead letters is a channel; raise the server's limit (-mc, --max_channels), or use NoDeadLetters", err)
	}
	return err
}

// unwell is what keeps the client degraded on behalf of a run. The run's lock
// guards it.
type unwell struct{ letters, stuck bool }

func (c *core) what() string {
	if c.group == "" {
		return string(c.subject)
	}
	return string(c.subject) + " (queue group " + c.group + ")"
}

func (c *core) lettersReason() string { return "dead letters of " + c.what() + " can't be stored" }

func (c *core) stuckReason() string {
	return "events of " + c.what() + " are stuck: as many as MaxInFlight fail, or wait for one that does"
}

// What helps against events that are stuck.
const (
	remedy              = "leave out option NoDeadLetters, so that they become dead letters, mend the handler"
	remedyOfDeadLetters = "dead letters make no dead letters, so mend the handler"
	remedyOfAttempts    = "they become dead letters when their attempts are used up; mend the handler, have it Reject what can't succeed, set MaxAttempts to fewer"
)

func (r *run) lettersUnwell(err error) {
	if r.over {
		return // nobody would take it back
	}
	r.unwell.letters = true
	r.core.session.Degrade(r, r.core.lettersReason(), err)
}

func (r *run) lettersWell() {
	if r.unwell.letters {
		r.unwell.letters = false
		r.core.session.Recover(r, r.core.lettersReason())
	}
}

// checkStuck tells the client when what can't be handled takes all places, and when it
// does so no longer.
func (r *run) checkStuck() {
	if len(r.book.stuck.until) == 0 && !r.unwell.stuck {
		return
	}
	n := r.book.stuckHere(time.Now())
	switch is := n >= r.book.maxInFlight; {
	case is && !r.unwell.stuck:
		remedy := remedyOfAttempts
		if r.core.options.noDeadLetters {
			remedy = r.core.remedy
		}
		r.core.session.Degrade(r, r.core.stuckReason(), fmt.Errorf(
			"%d events can't be handled, or wait for one of their key that can't, and stay unacknowledged: %s, or raise MaxInFlight (%d) for the time being",
			n, remedy, r.book.maxInFlight))
	case !is && r.unwell.stuck:
		r.core.session.Recover(r, r.core.stuckReason())
	default:
		return
	}
	r.unwell.stuck = !r.unwell.stuck
}

// wellAgain takes back what the client was told: the run is over.
func (r *run) wellAgain() {
	r.lettersWell()
	if r.unwell.stuck {
		r.unwell.stuck = false
		r.core.session.Recover(r, r.core.stuckReason())
	}
}

// validLetters checks the subject of the dead letters.
func (c *core) validLetters() error {
	if c.options.noDeadLetters {
		return nil
	}
	if err := subjects.Valid(string(events.DeadLetterSubject(c.mourners(), c.subject))); err != nil {
		return fmt.Errorf("%w subject of the dead letters, which is made of the queue group's name and the event's subject; "+
			"shorten either, or use NoDeadLetters: %w", transport.ErrInvalid, err)
	}
	return nil
}
