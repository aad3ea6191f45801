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

// errLate is why an event was dropped that its handler never saw.
var errLate = errors.New("dropped unrun: its ack wait passed before a handler was free")

// run is one Listen, from subscribing to the end of the drain: the goroutines
// and timers around a book.
type run struct {
	core  *core
	log   *slog.Logger
	began time.Time

	// handlers is the context of the handlers; cancel ends it with the drain.
	handlers context.Context //nolint:containedctx // it is what the run is about: one for all its handlers
	cancel   context.CancelFunc

	mu        sync.Mutex
	book      *book
	workers   int           // goroutines that run handlers
	open      int           // deliveries with ManualAck that are not settled
	idle      chan struct{} // closed when both are zero; set by the drain
	delivered bool          // the first event has come
	over      bool          // nothing can be settled any more

	keeps  bool        // the broker lets the ack wait of an event begin anew
	keeper *time.Timer // runs while events are here
	pace   pace
}

func newRun(ctx context.Context, c *core) *run {
	r := &run{
		core: c, log: c.log, began: time.Now(),
		book:  newBook(c.options.concurrency, c.options.maxInFlight, c.options.ackWait),
		keeps: c.session.Conn.Features().InProgress,
	}
	r.handlers, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// deliver takes an event in. The transport calls it for one at a time, and must
// not be kept.
func (r *run) deliver(d transport.Delivery) {
	w := newWork(d, time.Now())
	if r.core.typed.key != nil {
		// The key is in the event, so that it has to be decoded before it is known
		// what it must wait for.
		event, err := r.core.typed.decode(d.Data)
		if err == nil {
			w.event, w.keyed = event, true
			w.key, err = r.core.typed.key(event)
		}
		if err != nil {
			r.undecodable(d, err)
			r.tryLater(w)
			r.conclude(w, d)
			return
		}
	}
	r.mu.Lock()
	if !r.delivered {
		r.delivered = true
		r.checkPosition(d)
	}
	if r.book.arrive(w) {
		// Not here: an acknowledgement may wait for the network, and this must not.
		r.workers++
		go r.ackAgain(w)
	}
	r.keep()
	r.hire()
	r.mu.Unlock()
}

// interrupted: the connection was lost. The transport calls it.
func (r *run) interrupted() {
	r.mu.Lock()
	dropped := r.book.interrupt()
	r.mu.Unlock()
	for _, w := range dropped {
		r.conclude(w, w.delivery)
	}
}

// ackAgain acknowledges an event once more, as a worker of the run.
func (r *run) ackAgain(w *work) {
	_ = r.ack(w)
	r.mu.Lock()
	r.workers--
	r.hire()
	r.signal()
	r.mu.Unlock()
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
	for r.workers < r.book.concurrency && len(r.book.ready) > r.workers-len(r.book.running) {
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
	for {
		r.mu.Lock()
		w, late := r.book.next(time.Now())
		var d transport.Delivery
		if w == nil {
			r.workers--
			r.signal()
		} else {
			d = w.delivery
			r.hire() // for what late ones have made way for
		}
		r.mu.Unlock()
		for _, l := range late {
			r.log.Warn("event dropped unrun: its ack wait passed before a handler was free, so it comes again; "+
				"lower MaxInFlight, or raise Concurrency or AckWait",
				slog.Uint64("sequence", l.id.sequence), slog.Duration("ack_wait", r.core.options.ackWait))
			observe(l.delivery.Settler, errLate)
			r.conclude(l, l.delivery)
		}
		if w == nil {
			finished = true
			return
		}
		r.process(w, d)
	}
}

// process runs the handler for one event and settles it.
func (r *run) process(w *work, d transport.Delivery) {
	acknowledged, open := false, false
	defer func() {
		r.mu.Lock()
		r.book.returned(w)
		if !open {
			r.book.settled(w, acknowledged)
		}
		r.mu.Unlock()
		r.conclude(w, d)
	}()
	if w.event == nil {
		event, err := r.core.typed.decode(d.Data)
		if err != nil {
			r.undecodable(d, err)
			r.tryLater(w)
			return
		}
		w.event = event
	}
	if r.core.options.manualAck {
		open = true
		r.runManual(w, d)
		return
	}
	if err := r.invoke(w, d, automatic{}); err != nil {
		r.failed(w, err)
		r.tryLater(w)
		return
	}
	// It is done, even if the server does not get to know: it sends the event again,
	// and is told then.
	_ = r.ack(w)
	acknowledged = true
}

func (r *run) runManual(w *work, d transport.Delivery) {
	m := &manual{run: r, work: w}
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	defer func() { m.returned(r.keepOpen(w)) }() // also after Goexit
	err := r.invoke(w, d, m)
	switch {
	case err == nil:
	case m.settle():
		r.failed(w, err)
		r.tryLater(w)
		m.release(false)
	default:
		r.log.Warn("handler failed after it had settled its event, which stays as it is settled", r.attributes(w, slog.Any("error", err))...)
		observe(d.Settler, err)
	}
}

// invoke calls the handler. A panic is an error, and so is runtime.Goexit, which
// goes on after it.
func (r *run) invoke(w *work, d transport.Delivery, s settlement) (err error) {
	ctx := r.handlers
	if timeout := r.core.options.timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			r.log.Error("handler panicked", r.attributes(w, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			return
		}
		r.failed(w, errors.New("handler called runtime.Goexit"))
	}()
	began := time.Now()
	defer func() { r.pace.saw(time.Since(began)) }()
	err = r.core.typed.handle(ctx, w.event, describe(d, r.core.group, w.attempt, s))
	returned = true
	return err
}

func describe(d transport.Delivery, group string, attempt int, s settlement) Delivery {
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

// giveBack makes the server deliver the event again after the delay, where it can.
func (r *run) giveBack(w *work, delay time.Duration) error {
	if !r.core.session.Conn.Features().Nak {
		return nil // it comes again by itself when its ack wait has passed
	}
	settler, err := r.settler(w)
	if err != nil {
		return err
	}
	r.mu.Lock()
	w.again = false // it is this delivery that is given back
	r.mu.Unlock()
	return settler.Nak(delay)
}

// settler is that of the latest delivery of the event.
func (r *run) settler(w *work) (transport.Settler, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, ErrSubscriptionClosed
	}
	return w.delivery.Settler, nil
}

func (r *run) failed(w *work, err error) {
	r.log.Warn("handler failed: the event stays unacknowledged and comes again", r.attributes(w, slog.Any("error", err))...)
	if settler, over := r.settler(w); over == nil {
		observe(settler, err)
	}
}

// tryLater gives an event that failed back. Over NATS Streaming it comes again when
// its ack wait has passed, and so it does where it can be given back: what has
// just failed would fail again at once. It takes no room here meanwhile.
func (r *run) tryLater(w *work) {
	if err := r.giveBack(w, r.core.options.ackWait); err != nil && !errors.Is(err, ErrSubscriptionClosed) {
		r.log.Warn("event not given back: it comes again when its ack wait has passed", r.attributes(w, slog.Any("error", err))...)
	}
}

func (r *run) undecodable(d transport.Delivery, err error) {
	r.log.Error("event can't be decoded: it stays unacknowledged",
		slog.Uint64("sequence", d.Sequence), slog.Int("deliveries", d.Deliveries), slog.Int("bytes", len(d.Data)), slog.Any("error", err))
	observe(d.Settler, err)
}

func (r *run) attributes(w *work, more ...any) []any {
	return append([]any{slog.Uint64("sequence", w.id.sequence), slog.Int("attempt", w.attempt)}, more...)
}

// conclude gives the decoded event of a work that is done with back, and tells
// who observes the delivery.
func (r *run) conclude(w *work, d transport.Delivery) {
	if w.event != nil {
		r.core.typed.release(w.event)
		w.event = nil
	}
	if o, ok := d.Settler.(session.Observer); ok {
		o.Concluded()
	}
}

// observe tells who observes a delivery why it was not handled.
func observe(s transport.Settler, err error) {
	if o, ok := s.(session.Observer); ok {
		o.Failed(err)
	}
}

// release counts a delivery with ManualAck out.
func (r *run) release(w *work, acknowledged bool) {
	r.mu.Lock()
	r.book.settled(w, acknowledged)
	r.open--
	r.hire() // for one that was delivered once more meanwhile
	r.signal()
	r.mu.Unlock()
}

// signal tells the drain when there is nothing left to wait for.
func (r *run) signal() {
	if r.idle != nil && r.workers == 0 && r.open == 0 {
		close(r.idle)
		r.idle = nil
	}
}

// drain takes nothing more in and waits for the handlers, until ctx is done. It
// returns what was unfinished.
func (r *run) drain(ctx context.Context) error {
	idle := make(chan struct{})
	r.mu.Lock()
	dropped := r.book.drain()
	r.idle = idle
	r.signal()
	r.mu.Unlock()
	for _, w := range dropped {
		_ = r.giveBack(w, 0) // another member may begin it now
	}
	defer r.cancel()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.keeper != nil {
		r.keeper.Stop()
	}
	if r.workers == 0 && r.open == 0 {
		return nil
	}
	sequences := make([]uint64, 0, len(r.book.running))
	for w := range r.book.running {
		sequences = append(sequences, w.id.sequence)
	}
	return fmt.Errorf("%w: %d handlers still running (sequences %v), %d events not settled: they come again (%w)",
		ErrUnfinished, len(sequences), sequences, r.open, await.Ended(ctx))
}
