package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

var (
	// errLate is why an event was dropped that its handler never saw.
	errLate = errors.New("dropped unrun: its ack wait passed before a handler was free")
	// errExited is why an attempt failed whose handler did not return.
	errExited = errors.New("handler called runtime.Goexit")
)

// run is one Listen, from subscribing to the end of the drain: the goroutines
// and timers around a book.
type run struct {
	core  *core
	log   *slog.Logger
	began time.Time

	// handlers is the context of the handlers; cancel ends it with the drain.
	handlers context.Context //nolint:containedctx // it is what the run is about: one for all its handlers
	cancel   context.CancelFunc

	mu        sync.Mutex // release it with unlock, which does what the book has decided
	book      *book
	workers   int           // goroutines that run handlers
	chores    int           // goroutines that do what else the book has decided
	open      int           // deliveries with ManualAck that are not settled
	idle      chan struct{} // closed when all three are zero; set by the drain
	delivered bool          // the first event has come
	over      bool          // nothing can be settled any more

	keeper  *time.Timer // runs while events are here, where their ack wait can be begun anew
	alarm   alarm       // for what the book waits for
	watch   watch       // for handlers that take too long
	pace    pace
	unwell  unwell // what the client is told of it
	resting restingCount
}

func newRun(ctx context.Context, c *core) *run {
	r := &run{core: c, log: c.log, began: time.Now(), book: newBook(c.rules(), c.options.ackWait)}
	r.handlers, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// rules are what the options and the broker make of the book.
func (c *core) rules() rules {
	features, o := c.session.Conn.Features(), c.options
	return rules{
		concurrency: o.concurrency, maxInFlight: o.maxInFlight, timeout: o.timeout,
		attempts: o.maxAttempts, backoff: o.backoff.Delay, longest: o.backoff.Full, burial: burialBackoff.Delay,
		keeps: features.InProgress, gives: features.Nak,
		alone: c.group == "", letters: !o.noDeadLetters,
	}
}

// deliver takes an event in. The transport calls it for one at a time, and must
// not be kept.
func (r *run) deliver(d transport.Delivery) {
	w := newWork(d, time.Now())
	_, w.observed = d.Settler.(session.Observer)
	if r.core.typed.key != nil {
		// The key is in the event, so that it has to be decoded before it is known
		// what it must wait for.
		event, err := r.core.typed.decode(d.Data)
		if err == nil {
			w.event, w.keyed = event, true
			w.key, err = r.core.typed.key(event)
		}
		if err != nil {
			f := unreadable(err)
			w.keyed, w.failed = false, &f
		}
	}
	r.mu.Lock()
	if !r.delivered {
		r.delivered = true
		r.checkPosition(d)
	}
	r.book.arrive(w, w.received)
	r.unlockAside()
}

// interrupted: the connection was lost. The transport calls it.
func (r *run) interrupted() {
	r.mu.Lock()
	r.book.interrupt(time.Now())
	r.unlockAside()
}

// checkPosition logs when the first event shows that StartAt had no effect.
func (r *run) checkPosition(first transport.Delivery) {
	if contradicts(r.core.options.start, first, r.began) {
		r.log.Warn("option StartAt had no effect: the server knew the durable or the group before, and goes on where it stood",
			slog.String("start_at", r.core.options.start.String()),
			slog.Uint64("sequence", first.Sequence), slog.Time("stored", first.Timestamp))
	}
}

// hire starts as many workers as there is work for.
func (r *run) hire() {
	for r.workers < r.book.concurrency && r.book.ready.Len() > r.workers-len(r.book.running) {
		r.workers++
		go r.work()
	}
}

// work runs handlers until there is nothing to run.
func (r *run) work() {
	finished := false
	defer func() {
		if !finished { // the handler called runtime.Goexit, as a test's FailNow does
			go r.work()
		}
	}()
	var d transport.Delivery
	for {
		r.mu.Lock()
		w := r.begin(time.Now(), &d)
		if w == nil {
			r.workers--
			r.unlock()
			finished = true
			return
		}
		r.unlock()
		for w != nil {
			w = r.process(w, &d)
		}
	}
}

// begin returns the next event to run, and puts its delivery into d. It is called with
// r.mu held.
func (r *run) begin(now time.Time, d *transport.Delivery) *work {
	w := r.book.next(now)
	if w != nil {
		*d = w.delivery
		r.watchOver(w)
	}
	return w
}

// process runs the handler for one event and settles it. It returns the next one, if
// that has begun already; its delivery is then in d.
func (r *run) process(w *work, d *transport.Delivery) (next *work) {
	err, m := errExited, (*manual)(nil)
	if r.core.options.manualAck {
		m = r.manual(w)
	}
	defer func() { // also after Goexit
		if w.event != nil {
			r.core.typed.release(w.event)
			w.event = nil
		}
		switch {
		case m != nil:
			m.returned(*d, err)
		case err != nil:
			r.failed(w, err)
		default:
			next = r.handled(w, d)
		}
	}()
	if w.event == nil {
		var event any
		if event, err = r.core.typed.decode(d.Data); err != nil {
			err = &unreadError{err}
			return nil
		}
		w.event = event
		err = errExited
	}
	if m != nil {
		err = r.invoke(w, d, m)
	} else {
		err = r.invoke(w, d, automatic{})
	}
	return nil
}

// failed says that the handler has returned an error.
func (r *run) failed(w *work, err error) {
	r.mu.Lock()
	now := time.Now()
	r.book.returned(w, now)
	r.book.fail(w, failed(err), now)
	r.unlock()
}

// handled acknowledges what the handler has handled, and begins the next event.
func (r *run) handled(w *work, d *transport.Delivery) (next *work) {
	// It is done, even if the server does not get to know: it sends the event again,
	// and is told then.
	_ = r.ack(w)
	r.mu.Lock()
	now := time.Now()
	r.book.returned(w, now)
	r.book.handled(w, now)
	if w.observed { // its end is told before another begins
		r.unlock()
		conclude(d.Settler)
		return nil
	}
	next = r.begin(now, d) // under the same lock, which costs more than what is done under it
	r.unlock()
	return next
}

// invoke calls the handler. A panic is an error, and so is runtime.Goexit, which
// goes on after it.
func (r *run) invoke(w *work, d *transport.Delivery, s settlement) (err error) {
	ctx := r.handlers
	if timeout := r.core.options.timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	returned := false
	defer func() {
		r.pace.saw(time.Since(w.begun))
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			r.log.Error("handler panicked", r.attributes(w, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
		}
	}()
	err = r.core.typed.handle(ctx, w.event, describe(d, r.core.group, w.attempt, s))
	returned = true
	return err
}

func describe(d *transport.Delivery, group string, attempt int, s settlement) Delivery {
	return Delivery{
		Subject:     subjects.Subject(d.Subject),
		Group:       group,
		Sequence:    d.Sequence,
		Timestamp:   d.Timestamp,
		Redelivered: d.Redelivered,
		Attempt:     attempt,
		Deliveries:  d.Deliveries,
		Header:      d.Header,
		settlement:  s,
	}
}

// ack acknowledges the latest delivery of the event.
func (r *run) ack(w *work) error {
	settler, err := r.settler(w)
	if err == nil {
		err = settler.Ack()
	}
	if err != nil {
		r.log.Warn("event handled, but its acknowledgement was not sent: it comes again, and is acknowledged then", r.attributes(w, slog.Any("error", err))...)
		observe(settler, err)
	}
	return err
}

// settler is that of the latest delivery of the event.
func (r *run) settler(w *work) (transport.Settler, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, ErrSubscriptionClosed
	}
	if w.state == over { // settled late
		if here := r.book.active[w.id]; here != nil {
			w = here
		}
	}
	return w.delivery.Settler, nil
}

func (r *run) attributes(w *work, more ...any) []any {
	r.mu.Lock()
	attempt := w.attempt // a late acknowledgement may be of an event that is tried again by now
	r.mu.Unlock()
	return append([]any{slog.Uint64("sequence", w.id.sequence), slog.Int("attempt", attempt)}, more...)
}

// drain takes nothing more in and waits for the handlers, until ctx is done. It
// returns what was unfinished.
func (r *run) drain(ctx context.Context) error {
	idle := make(chan struct{})
	r.mu.Lock()
	r.book.drain(time.Now())
	r.idle = idle
	r.unlock()
	defer r.cancel()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.stopTimers()
	r.wellAgain()
	if r.workers == 0 && r.open == 0 && r.chores == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: what is not acknowledged comes again (%w)", ErrUnfinished, r.unfinished(), await.Cause(ctx))
}

// signal tells the drain when there is nothing left to wait for.
func (r *run) signal() {
	if r.idle != nil && r.workers == 0 && r.open == 0 && r.chores == 0 {
		close(r.idle)
		r.idle = nil
	}
}
