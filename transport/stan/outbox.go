package stan

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sgtickets/common/internal/fifo"
	"github.com/sgtickets/common/transport"
)

// letter is a publish from when it is taken to when its outcome is known.
type letter struct {
	ticket  transport.Ticket
	receipt transport.Receipt
	subject string
	data    []byte // the outbox's own: the publisher may have its buffer back before it is sent

	epoch   uint64 // in which it was sent last; 0: not at all, or it was refused before it left
	left    bool   // it may have left, at one time or another
	before  bool   // left, before the attempt under way
	queued  bool   // it is in the queue
	writing bool   // the writer has it, and needs the data
	settled bool

	refusals int // by servers that may have given the client up
}

// largeBuffer is from what size on a buffer is not kept: it is seldom needed.
const largeBuffer = 64 << 10

// letters are used again: a publish costs no memory in the long run.
var letters = sync.Pool{New: func() any { return new(letter) }}

// outbox holds the publishes whose outcome is not known. It is a part of the
// machine: it sends nothing itself, waits for nothing and has no lock.
//
// What is in it was never sent, was refused by a connection that was gone, went
// into a connection that is gone since, or waits for the server's answer. Only the
// last of these is not sent again: silence says nothing, a frozen server has
// stored it.
type outbox struct {
	last    transport.Ticket
	letters map[transport.Ticket]*letter
	queue   fifo.Queue[*letter] // to be sent, in order; those that are settled are passed over
	dead    int                 // how many of the queue are settled, about
	closed  error               // why no more are taken
}

// add takes a publish in, or returns why not.
func (o *outbox) add(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	if o.closed != nil {
		return 0, o.closed
	}
	if o.letters == nil {
		o.letters = make(map[transport.Ticket]*letter)
	}
	o.last++
	l, _ := letters.Get().(*letter)
	*l = letter{ticket: o.last, receipt: r, subject: m.Subject, data: append(l.data[:0], m.Data...), queued: true}
	o.letters[o.last] = l
	o.queue.Push(l)
	return o.last, nil
}

// next returns what is to be sent now, in that epoch, and nil for nothing. It is
// the caller's until written.
func (o *outbox) next(epoch uint64) *letter {
	for o.queue.Len() > 0 {
		l := o.queue.Pop()
		l.queued = false
		if l.settled {
			o.dead--
			o.release(l)
			continue
		}
		l.epoch = epoch
		l.before, l.left = l.left, true
		l.writing = true
		return l
	}
	return nil
}

// written says that the writer is done with a letter. refused: nothing of it has
// left, since there was no connection; it is sent again.
func (o *outbox) written(l *letter, refused bool) {
	l.writing = false
	switch {
	case l.settled:
		o.release(l)
	case refused:
		l.epoch = 0
		l.left = l.before
		l.queued = true
		o.queue.Change(func(all []*letter) []*letter { return slices.Insert(all, 0, l) })
	}
}

// settle takes a publish out, and returns whom to tell, nil if it was before, and
// whether it may have left.
func (o *outbox) settle(t transport.Ticket) (r transport.Receipt, left bool) {
	l, ok := o.letters[t]
	if !ok {
		return nil, false
	}
	delete(o.letters, t)
	r, left = l.receipt, l.left
	l.settled = true
	l.receipt = nil
	switch {
	case l.queued:
		o.dead++
		o.tidy()
	case !l.writing:
		o.release(l)
	}
	return r, left
}

// tidy takes what is settled out of the queue when it is most of it: as long as
// there is no connection, nobody else does.
func (o *outbox) tidy() {
	const few = 64
	if o.dead < few || 2*o.dead < o.queue.Len() {
		return
	}
	o.dead = 0
	o.queue.Change(func(all []*letter) []*letter {
		return slices.DeleteFunc(all, func(l *letter) bool {
			settled := l.settled
			if settled {
				o.release(l) // after which it is somebody else's
			}
			return settled
		})
	})
}

// current reports whether t was last sent in that epoch.
func (o *outbox) current(t transport.Ticket, epoch uint64) bool {
	l, ok := o.letters[t]
	return ok && l.epoch == epoch
}

// maxRefusals bounds how often a publish is sent in a new session after a server has
// refused it in the words it has for clients it has given up: if that is not why, it is
// for whoever published to know.
const maxRefusals = 10

// mayGoAgain notes such a refusal, and reports whether t is to be sent again.
func (o *outbox) mayGoAgain(t transport.Ticket) bool {
	l := o.letters[t]
	l.refusals++
	if l.refusals > maxRefusals {
		return false
	}
	l.left = l.before
	return true
}

// doubt returns what the outcome of the last attempt says about the publish: that it
// was not stored this time says nothing where it went into a connection that is gone.
func (o *outbox) doubt(t transport.Ticket, outcome error) error {
	if l, ok := o.letters[t]; ok && l.before && errors.Is(outcome, transport.ErrNotStored) {
		//nolint:errorlint // it must not match ErrNotStored
		return fmt.Errorf("%w: it may have been stored when it was sent before; this time it was not (%v)", transport.ErrOutcomeUnknown, outcome)
	}
	return outcome
}

// again queues what went into a connection that is gone, in its order, before what
// was not sent yet.
func (o *outbox) again() {
	o.queue.Change(func(all []*letter) []*letter {
		for _, l := range o.letters {
			if !l.queued && !l.writing {
				l.queued = true
				all = append(all, l)
			}
		}
		slices.SortFunc(all, func(a, b *letter) int { return int(a.ticket) - int(b.ticket) }) //nolint:gosec // G115: not that many are published
		return all
	})
}

// unanswered reports whether something was sent that nobody has answered.
func (o *outbox) unanswered() bool {
	for _, l := range o.letters {
		if l.left {
			return true
		}
	}
	return false
}

// tickets returns those that are in it, in order.
func (o *outbox) tickets() []transport.Ticket {
	all := make([]transport.Ticket, 0, len(o.letters))
	for t := range o.letters {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

func (*outbox) release(l *letter) {
	if cap(l.data) > largeBuffer {
		l.data = nil
	}
	*l = letter{data: l.data}
	letters.Put(l)
}
