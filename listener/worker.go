package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// errExited is why an attempt failed whose handler did not return.
var errExited = errors.New("handler called runtime.Goexit")

// spawnWorkers starts as many workers as there are tasks for. It is called with r.mu
// held.
func (r *runner) spawnWorkers() {
	for r.workers < r.core.options.concurrency && r.scheduler.Ready() > r.workers-r.scheduler.Running() {
		r.workers++
		go r.work()
	}
}

// work runs handlers until there is nothing to run.
func (r *runner) work() {
	finished := false
	defer func() {
		if !finished { // the handler called runtime.Goexit, as a test's FailNow does
			go r.work()
		}
	}()
	var d transport.Delivery
	for {
		r.mu.Lock()
		t := r.begin(time.Now(), &d)
		if t == nil {
			r.workers--
			r.unlock()
			finished = true
			return
		}
		r.unlock()
		for t != nil {
			t = r.process(t, &d)
		}
	}
}

// begin returns the next task to run, and puts its delivery into d. It is called with
// r.mu held.
func (r *runner) begin(now time.Time, d *transport.Delivery) *schedule.Task {
	t := r.scheduler.Next(now)
	if t != nil {
		*d = t.Delivery
		r.watchOver(t)
	}
	return t
}

// process runs the handler for one task and settles its event. It returns the next task,
// if that has begun already; its delivery is then in d.
func (r *runner) process(t *schedule.Task, d *transport.Delivery) (next *schedule.Task) {
	err, m := errExited, (*manual)(nil)
	if r.core.options.manualAck {
		m = r.newManual(t)
	}
	if t.Told != nil { // what observers are told of an event is in order
		<-t.Told
		t.Told = nil
	}
	defer func() { // also after Goexit
		if t.Event != nil {
			r.core.eventType.release(t.Event)
			t.Event = nil
		}
		switch {
		case m != nil:
			m.returned(err)
		case err != nil:
			r.failed(t, err)
		default:
			next = r.handled(t, d)
		}
	}()
	if t.Event == nil {
		var event any
		if event, err = r.core.eventType.decode(d); err != nil {
			err = &unreadError{err}
			return nil
		}
		r.decoded()
		t.Event = event
		err = errExited
	}
	err = r.invoke(t, d, m)
	return nil
}

// failed says that the handler has returned an error.
func (r *runner) failed(t *schedule.Task, err error) {
	f := r.failure(t, err)
	r.mu.Lock()
	now := time.Now()
	r.scheduler.Returned(t, now)
	r.scheduler.Fail(t, f, now)
	r.unlock()
}

// handled acknowledges the event that the handler has handled, and begins the next task.
func (r *runner) handled(t *schedule.Task, d *transport.Delivery) (next *schedule.Task) {
	// The event is done with, even if the server does not get to know: it sends the event
	// again, and is told then.
	r.ackOrRelease(t)
	r.doneWith(t)
	r.mu.Lock()
	now := time.Now()
	r.scheduler.Returned(t, now)
	r.scheduler.Acknowledged(t, now)
	next = r.begin(now, d) // under the same lock, which costs more than what is done under it
	r.unlock()
	return next
}

// invoke calls the handler. A panic is an error, and so is runtime.Goexit, which goes on
// after it. m is nil without ManualAck.
func (r *runner) invoke(t *schedule.Task, d *transport.Delivery, m *manual) (err error) {
	ctx := r.handlers
	if timeout := r.core.options.timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var s settlement = automatic{}
	if m != nil {
		s = m
	}
	began := t.Begun
	if r.observed() {
		r.tell(r.observation(observe.Begun, d, t.Attempt))
		began = time.Now() // without the time that observers take
	}
	returned := false
	defer func() {
		took := time.Since(began)
		r.pace.add(took)
		if !returned {
			if p := recover(); p != nil {
				err = fmt.Errorf("handler panicked: %v", p)
				r.log.Error("handler panicked", r.attributes(t, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			}
		}
		r.tellReturned(t, d, m, took, returned, err)
		if returned && err != nil {
			err = r.classify(t, err)
		}
	}()
	err = r.core.eventType.handle(ctx, t.Event, describe(d, r.core.group, t.Attempt, s))
	returned = true
	return err
}

// describe makes what the handler gets.
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
func (r *runner) ack(t *schedule.Task) (transport.Settler, error) {
	settler, err := r.settler(t)
	if err == nil {
		err = settler.Ack()
	}
	if err != nil {
		r.log.Warn("event handled, but its acknowledgement was not sent: it is sent when the connection is back, or when the event comes again",
			r.attributes(t, slog.Any("error", err))...)
	}
	r.tellSettled(t, observe.SettleAck, err)
	return settler, err
}

// ackOrRelease acknowledges the latest delivery of the event. Nobody tries that again
// if it can't be sent, so that the delivery is released then.
func (r *runner) ackOrRelease(t *schedule.Task) {
	if settler, err := r.ack(t); err != nil && settler != nil {
		settler.Release()
	}
}
