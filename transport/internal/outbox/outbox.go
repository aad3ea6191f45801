// Package outbox holds the publishes of a connection whose outcome is not known yet.
//
// An [Outbox] is a single-threaded state machine. Its owner, a transport, tells it
// what happened (a publish was made, the connection was lost, the broker answered,
// time has passed), and the outbox says what to send next and whose publish is
// decided. The outbox sends nothing itself, waits for nothing, and has no lock,
// goroutine, timer or clock: its owner calls it under the owner's lock, and tells
// publishers their outcomes after it has released that lock.
//
// When a publish is sent again is the transport's decision, see [Policy] and
// [Outbox.Connected].
package outbox

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/fifo"
	"github.com/sgtickets/common/transport"
)

// PendingPublish is a publish from the moment it is taken in until its outcome is known.
// The outbox hands it to the writer with [Outbox.Next], and the writer hands it back
// with [Outbox.Written]. In between the writer may read it without the owner's lock.
type PendingPublish struct {
	// Message is what is published. Its Data is the outbox's own copy.
	Message transport.Message

	ticket  transport.Ticket
	attempt Attempt // the latest; 0: it was not sent yet
	receipt transport.Receipt

	// open are the attempts without a definite negative answer, oldest first: each may
	// have been stored.
	open      []Attempt
	firstOpen time.Time // when the oldest of them was sent
	lastSent  time.Time
	unchecked Attempt // the first of which it is not known whether the NATS server has taken or refused it

	queued  bool // it is in the queue
	writing bool // the writer has it
	resend  bool // its connection was replaced while the writer had it: it is due once more
	settled bool // its outcome is known

	silences     int       // how often it was sent again because nobody answered
	refusals     int       // how often the broker refused it for now
	firstRefused time.Time // when the broker did so first
	retryAt      time.Time // when it is due after such a refusal; zero: it waits for something else
}

// Attempt numbers the times that one publish is sent, from 1 on. An answer names the
// attempt that it is for, so that a late answer is not taken for another attempt's.
type Attempt uint32

// Ticket identifies the publish.
func (p *PendingPublish) Ticket() transport.Ticket { return p.ticket }

// Attempt returns the number of the attempt that is being written.
func (p *PendingPublish) Attempt() Attempt { return p.attempt }

// closeAttempt records that the broker has not stored that attempt and will not. It
// returns false if that was known, or there was no such attempt.
func (p *PendingPublish) closeAttempt(a Attempt) bool {
	i := slices.Index(p.open, a)
	if i < 0 {
		return false
	}
	p.open = slices.Delete(p.open, i, i+1)
	return true
}

// Outcome is the decision about one publish. The zero value is none.
type Outcome struct {
	receipt transport.Receipt
	err     error
}

// Decided reports whether there is a decision.
func (o Outcome) Decided() bool { return o.receipt != nil }

// Err is nil if the broker has stored the publish. Otherwise it matches
// transport.ErrNotStored or transport.ErrOutcomeUnknown.
func (o Outcome) Err() error { return o.err }

// Tell tells the publisher, if there is a decision. The owner must not hold its lock.
func (o Outcome) Tell() {
	if o.receipt != nil {
		o.receipt.Done(o.err)
	}
}

// Because returns the outcome with a reason added to its error, if it has one.
func (o Outcome) Because(reason error) Outcome {
	if o.err != nil {
		o.err = fmt.Errorf("%w: %w", o.err, reason)
	}
	return o
}

// link is what the outbox knows of the connection.
type link int

const (
	linkDown            link = iota // nothing is sent
	linkAwaitingAnswers             // nothing is sent: late answers may still come
	linkUp
)

// Outbox holds the publishes whose outcome is not known. It is made by [New], and is
// not safe for concurrent use.
type Outbox struct {
	forbidden

	policy  Policy
	link    link
	heard   bool // an answer has come since the outbox awaits late ones
	last    transport.Ticket
	pending map[transport.Ticket]*PendingPublish

	// queue holds what is to be sent, in the order of the tickets. Publishes that were
	// settled meanwhile are skipped.
	queue         fifo.Queue[*PendingPublish]
	settledQueued int // how many of the queue are settled

	closed error         // why no more publishes are taken
	empty  chan struct{} // closed when nothing is pending any more; nil until somebody asks
}

// New returns an outbox without a connection, see [Outbox.Connected].
func New(policy Policy) *Outbox {
	return &Outbox{policy: policy, pending: make(map[transport.Ticket]*PendingPublish)}
}

// pool has used publishes: in the long run a publish costs no memory.
var pool = sync.Pool{New: func() any { return new(PendingPublish) }}

// largestKeptBuffer is the size of the largest buffer that is kept for another publish:
// larger ones are seldom needed.
const largestKeptBuffer = 64 << 10

// Add takes a publish in, or returns why it takes no more. It copies m.Data. The outbox
// answers r through the [Outcome] that one of its methods returns, exactly once.
func (o *Outbox) Add(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	if o.closed != nil {
		return 0, o.closed
	}
	o.last++
	p, _ := pool.Get().(*PendingPublish)
	m.Data = append(p.Message.Data[:0], m.Data...)
	*p = PendingPublish{Message: m, ticket: o.last, receipt: r, open: p.open[:0], unchecked: 1, queued: true}
	o.pending[o.last] = p
	o.queue.Push(p)
	return o.last, nil
}

// Next returns what to send now, oldest first. The publish is the writer's until it
// calls Written. If there is an outcome instead, the owner tells it and asks again: that
// publish can't be sent again safely. If there is neither, nothing is to be sent now.
func (o *Outbox) Next(now time.Time) (*PendingPublish, Outcome) {
	if o.link != linkUp || o.checkDue {
		return nil, Outcome{}
	}
	for o.queue.Len() > 0 {
		p := o.queue.Pop()
		p.queued = false
		if p.settled {
			o.settledQueued--
			o.release(p)
			continue
		}
		if len(p.open) > 0 && !o.policy.mayRepeat(p, now) {
			return nil, o.settle(p, errTooOldToRepeat)
		}
		p.attempt++
		p.open = append(p.open, p.attempt)
		if len(p.open) == 1 {
			p.firstOpen = now
		}
		p.lastSent = now
		p.writing = true
		return p, Outcome{}
	}
	return nil, Outcome{}
}

// Written takes a publish back from the writer. If nothing of it has left, because there
// was no connection, unsent is true, and the publish is the next to be sent.
func (o *Outbox) Written(p *PendingPublish, unsent bool) {
	p.writing = false
	if unsent {
		o.answered(p.ticket, p.attempt)
	}
	if p.settled {
		o.release(p)
		return
	}
	if unsent {
		p.closeAttempt(p.attempt)
	}
	if unsent || p.resend {
		o.enqueue(p)
	}
}

// Disconnected says that the connection is gone: nothing is sent until the next one.
func (o *Outbox) Disconnected() {
	o.link = linkDown
	o.forgetConnection()
}

// Close makes Add return reason from now on, unless it was closed before. What is
// pending stays so.
func (o *Outbox) Close(reason error) {
	if o.closed == nil {
		o.closed = reason
	}
}

// Empty returns a channel that is closed as soon as nothing is pending.
func (o *Outbox) Empty() <-chan struct{} {
	if len(o.pending) == 0 {
		empty := make(chan struct{})
		close(empty)
		return empty
	}
	if o.empty == nil {
		o.empty = make(chan struct{})
	}
	return o.empty
}

// Tickets returns those of all pending publishes, in the order in which they were made.
func (o *Outbox) Tickets() []transport.Ticket {
	all := make([]transport.Ticket, 0, len(o.pending))
	for t := range o.pending {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

// Subject returns the subject of a pending publish; ok is false if its outcome is known.
func (o *Outbox) Subject(t transport.Ticket) (subject string, ok bool) {
	p, ok := o.pending[t]
	if !ok {
		return "", false
	}
	return p.Message.Subject, true
}

// Silent returns the subject of a pending publish that was sent again because nobody answered;
// ok is false if there is none.
func (o *Outbox) Silent() (subject string, ok bool) {
	for _, p := range o.pending {
		if p.silences > 0 {
			return p.Message.Subject, true
		}
	}
	return "", false
}

// Left counts the pending publishes by subject.
func (o *Outbox) Left() *Left {
	left := &Left{}
	for _, p := range o.pending {
		left.Add(p.Message.Subject)
	}
	return left
}

// settle decides a pending publish.
func (o *Outbox) settle(p *PendingPublish, err error) Outcome {
	outcome := Outcome{p.receipt, err}
	delete(o.pending, p.ticket)
	o.unwatch(p)
	p.receipt = nil
	p.settled = true
	switch {
	case p.queued:
		o.settledQueued++
		o.removeSettled()
	case !p.writing:
		o.release(p)
	}
	if len(o.pending) == 0 && o.empty != nil {
		close(o.empty)
		o.empty = nil
	}
	return outcome
}

// enqueue puts publishes into the queue, which stays in the order of the tickets.
func (o *Outbox) enqueue(publishes ...*PendingPublish) {
	for _, p := range publishes {
		p.queued, p.resend, p.retryAt = true, false, time.Time{}
	}
	o.queue.Change(func(all []*PendingPublish) []*PendingPublish {
		all = append(all, publishes...)
		slices.SortFunc(all, func(a, b *PendingPublish) int { return cmp.Compare(a.ticket, b.ticket) })
		return all
	})
}

// removeSettled removes settled publishes from the queue when they are most of it:
// without a connection nobody calls Next, which does so otherwise.
func (o *Outbox) removeSettled() {
	const few = 64
	if o.settledQueued < few || 2*o.settledQueued < o.queue.Len() {
		return
	}
	o.settledQueued = 0
	o.queue.Change(func(all []*PendingPublish) []*PendingPublish {
		return slices.DeleteFunc(all, func(p *PendingPublish) bool {
			settled := p.settled
			if settled {
				o.release(p)
			}
			return settled
		})
	})
}

// release gives a settled publish back to the pool, when neither the queue nor the
// writer has it.
func (*Outbox) release(p *PendingPublish) {
	data := p.Message.Data
	if cap(data) > largestKeptBuffer {
		data = nil
	}
	*p = PendingPublish{Message: transport.Message{Data: data}, open: p.open[:0]}
	pool.Put(p)
}
