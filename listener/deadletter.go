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
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// NoGroup stands in the subject of dead letters for the queue group of a listener
// that has none, nor a durable's name, which would stand there instead.
const NoGroup = "no-group"

// storeTimeout bounds the wait for a dead letter to be stored. After it the event
// stays unacknowledged, and storing is tried again.
const storeTimeout = 10 * time.Second

// NoDeadLetters turns dead letters off. By default an event that can't be decoded
// or, with [Validate], is not valid, whose handler returned [Reject], whose
// attempts ([MaxAttempts]) are used up, or that has ended several processes which ran
// it, is stored on the subject "dead.<queue group>.<subject>" as an
// [events.DeadLetter], and then acknowledged. Without a queue group its name is that of
// the durable, or [NoGroup]. As long as it can't be stored, the event stays
// unacknowledged and the client is degraded.
//
// With NoDeadLetters such an event stays unacknowledged for good: it comes again and is tried
// again, once an ack wait. Over NATS Streaming the server sends nothing more when
// [MaxInFlight] events are like that or wait behind such an event of the same [OrderingKey].
// The client is then degraded, until one of them is handled, here or by another listener.
func NoDeadLetters() Option {
	return func(o *options) error {
		o.noDeadLetters = true
		return nil
	}
}

// deadLetterGroup returns the group's token in the dead-letter subject.
func (c *core) deadLetterGroup() string {
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
	subject := events.DeadLetterSubject(c.deadLetterGroup(), c.subject)
	if err := checker.CheckSubject(ctx, string(subject)); errors.Is(err, transport.ErrInvalid) {
		return fmt.Errorf("dead letters can't be stored: %w; or give the listener the option NoDeadLetters", err)
	}
	return nil // what else is wrong shows in the subscription
}

// validDeadLetterSubject checks the subject of the dead letters.
func (c *core) validDeadLetterSubject() error {
	if c.options.noDeadLetters {
		return nil
	}
	if err := validPattern(events.DeadLetterSubject(c.deadLetterGroup(), c.subject)); err != nil {
		return fmt.Errorf("%w subject of the dead letters, which is made of the queue group's name and the event's subject; "+
			"shorten either, or use NoDeadLetters: %w", transport.ErrInvalid, err)
	}
	if own := events.DeadLetterSubject(c.deadLetterGroup(), c.subject); transport.Overlap(string(c.subject), string(own)) {
		return fmt.Errorf("%w subject %s: it takes in the listener's own dead letters (%s), so that each would make another one without end; "+
			"give the listener the option NoDeadLetters, or a narrower pattern", transport.ErrInvalid, c.subject, own)
	}
	return nil
}

// startStoringDeadLetter has a dead letter stored, which may take a while.
func (r *runner) startStoringDeadLetter(e *schedule.Effect) {
	r.mu.Lock()
	r.activeEffects++
	r.mu.Unlock()
	go r.storeDeadLetter(*e)
}

func (r *runner) storeDeadLetter(e schedule.Effect) {
	if r.observed() && !e.Again {
		o := r.observation(observe.Failed, &e.Delivery, e.Attempt)
		o.Err = e.GiveUp.Err
		r.tell(o)
	}
	letter := events.NewDeadLetter(events.DeadLetter{
		Original: subjects.Subject(e.Delivery.Subject), Group: r.core.deadLetterGroup(),
		Sequence: e.Delivery.Sequence, Timestamp: e.Delivery.Timestamp,
		Attempts: e.GiveUp.Attempts, Deliveries: e.Delivery.Deliveries, Error: e.GiveUp.Err.Error(), FailedAt: e.GiveUp.At, Reason: e.GiveUp.Reason,
		Header: e.Delivery.Header, Data: e.Delivery.Data,
	})
	known := []any{
		slog.String("reason", string(e.GiveUp.Reason)), slog.Any("error", e.GiveUp.Err), slog.Int("deliveries", e.Delivery.Deliveries),
		slog.Int("bytes", len(e.Delivery.Data)), slog.String("dead_letter", string(letter.Subject())), r.payload(&e.Delivery),
	}
	if err := r.publishDeadLetter(letter); err != nil {
		r.log.Error("event given up, but its dead letter may not be stored: the event stays unacknowledged, and storing is tried again",
			r.attributesOf(&e, append(known, slog.Any("not_stored", err))...)...)
		r.deadLetterNotStored(&e, explainNotStored(err))
		return
	}
	r.tellDeadLettered(&e)
	r.announceDeadLetter(&e)
	r.settleDeadLettered(&e)
	r.log.Error("event given up, and stored as a dead letter", r.attributesOf(&e, known...)...)
	if e.GiveUp.Reason != events.DeadLetterVersionGap { // what ends its wait does not make others wait longer
		r.doneWith(e.Task)
	}
	r.mu.Lock()
	r.scheduler.DeadLetterStored(e.Task, time.Now())
	r.recoverDeadLetters()
	r.activeEffects--
	r.unlock()
}

// deadLetterNotStored lets storing be tried again.
func (r *runner) deadLetterNotStored(e *schedule.Effect, err error) {
	r.mu.Lock()
	delay := r.scheduler.DeadLetterNotStored(e.Task, time.Now())
	r.degradeDeadLetters(err)
	r.activeEffects--
	effects := r.decided()
	if r.observed() {
		o := r.observation(observe.Failed, &e.Delivery, e.Attempt)
		o.Err, o.Retry, o.RetryIn = fmt.Errorf("dead letter not stored: %w", err), true, delay
		r.tell(o)
	}
	if effects != nil {
		r.perform(effects)
	}
}

func (r *runner) tellDeadLettered(e *schedule.Effect) {
	if r.observed() {
		o := r.observation(observe.DeadLettered, &e.Delivery, e.Attempt)
		o.Reason, o.Err = string(e.GiveUp.Reason), e.GiveUp.Err
		r.tell(o)
	}
}

// publishDeadLetter stores a dead letter, and what is left of it if it is too large.
func (r *runner) publishDeadLetter(letter events.DeadLetter) error {
	// With a pattern each event has a subject of its own.
	if err := subjects.Valid(string(letter.Subject())); err != nil {
		return fmt.Errorf("%w: %w subject of the dead letter: shorten the queue group's name or the event's subject, or use NoDeadLetters: %w",
			transport.ErrNotStored, transport.ErrInvalid, err)
	}
	ctx, cancel := context.WithTimeout(r.handlers, storeTimeout)
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

// settleDeadLettered settles an event whose dead letter is stored. If the server does not
// get to know, it sends the event again, and is told then.
func (r *runner) settleDeadLettered(e *schedule.Effect) {
	reason := observe.SettleAck
	settler, err := r.settler(e.Task)
	if err == nil {
		if r.core.session.Conn.Features().Term {
			reason = observe.SettleTerm
			err = settler.Term("dead letter stored: " + string(e.GiveUp.Reason))
		} else {
			err = settler.Ack()
		}
		if err != nil {
			settler.Release()
		}
	}
	if err != nil {
		r.log.Warn("dead letter stored, but the acknowledgement was not sent: it is sent when the connection is back, or when the event comes again",
			r.attributesOf(e, slog.Any("error", err))...)
	}
	if r.observed() {
		o := r.observation(observe.Settled, &e.Delivery, e.Attempt)
		o.Reason, o.Err = reason, err
		r.tell(o)
	}
}

// explainNotStored adds what can be done about a dead letter that is not stored.
func explainNotStored(err error) error {
	if strings.Contains(err.Error(), "too many channels") {
		return fmt.Errorf("%w: each group and subject with dead letters is a channel; raise the server's limit (-mc, --max_channels), or use NoDeadLetters", err)
	}
	return err
}
