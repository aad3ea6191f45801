package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/internal/observing"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Observe tells o what becomes of the listener's events: also what no [Middleware] sees,
// such as payloads that can't be decoded, deliveries that are skipped, retries and dead
// letters. For one delivery the order is [observe.Delivered], [observe.Begun],
// [observe.Returned], and then [observe.Failed], [observe.DeadLettered] and
// [observe.Settled], as far as each happens. With [ManualAck] an event may be settled
// before its handler has returned. Given several times, all observers are told, after
// those of the client. A nil o is refused.
func Observe(o observe.Observer) Option {
	return func(opts *options) error {
		if f, isFunc := o.(observe.Func); o == nil || isFunc && f == nil {
			return fmt.Errorf("%w option Observe: nil; leave it out", transport.ErrInvalid)
		}
		opts.observers = append(opts.observers, o)
		return nil
	}
}

// errLate is why a delivery was skipped that no handler saw.
var errLate = errors.New("skipped: its ack wait expired before a handler was free")

// observed reports whether anybody observes. Nothing is made for observers otherwise.
func (r *runner) observed() bool { return len(r.core.observers) > 0 }

func (r *runner) tell(o observe.Observation) {
	observing.Tell(r.log, r.core.observers, o)
}

// observation is what all observations of a delivery have.
func (r *runner) observation(kind observe.Kind, d *transport.Delivery, attempt int) observe.Observation {
	return observe.Observation{
		Kind: kind, Subject: subjects.Subject(d.Subject), Group: r.core.group,
		Sequence: d.Sequence, Timestamp: d.Timestamp, Redelivered: d.Redelivered,
		Attempt: attempt, Deliveries: d.Deliveries, Bytes: len(d.Data), Header: d.Header,
	}
}

// tellDelivered says that a delivery came, before anything is done with it.
func (r *runner) tellDelivered(t *schedule.Task) {
	if !r.observed() {
		return
	}
	r.mu.Lock()
	attempt := r.scheduler.KnownAttempts(t.Message)
	r.mu.Unlock()
	r.tell(r.observation(observe.Delivered, &t.Delivery, attempt))
}

// tellReturned says that the handler has returned, or panicked; it did neither if it
// called runtime.Goexit.
func (r *runner) tellReturned(t *schedule.Task, d *transport.Delivery, m *manual, took time.Duration, returned bool, err error) {
	if !r.observed() {
		return
	}
	if !returned && err == nil {
		err = errExited
	}
	o := r.observation(observe.Returned, d, t.Attempt)
	o.Took, o.Err = took, err
	o.Open = m != nil && err == nil && m.open()
	r.tell(o)
}

// tellSettled says that the broker was told what became of the task's event.
func (r *runner) tellSettled(t *schedule.Task, reason string, err error) {
	if !r.observed() {
		return
	}
	r.mu.Lock()
	d, attempt := t.Delivery, t.Attempt
	r.mu.Unlock()
	o := r.observation(observe.Settled, &d, attempt)
	o.Reason, o.Err = reason, err
	r.tell(o)
}

// tellSkipped says that the delivery of an effect is not run.
func (r *runner) tellSkipped(e *schedule.Effect) {
	if !r.observed() {
		return
	}
	o := r.observation(observe.Skipped, &e.Delivery, e.Attempt)
	o.Reason, o.RetryIn = e.Skip, e.Delay
	if e.Skip == observe.SkipLate {
		o.Err = errLate
	}
	r.tell(o)
}

// tellFailed says that an attempt failed, and when the event is tried again. Once
// observers know, the next attempt may begin.
func (r *runner) tellFailed(e *schedule.Effect) {
	if !r.observed() {
		return
	}
	o := r.observation(observe.Failed, &e.Delivery, e.Attempt)
	o.Err, o.Retry, o.RetryIn, o.Waits = e.Err, true, e.Delay, e.Waited > 0
	r.tell(o)
	if e.Do == schedule.Hold {
		close(e.Task.Told)
	}
}

// orderObservations makes the next attempt of an event that is held here wait until
// observers were told why the one before failed. It is called with r.mu held.
func (r *runner) orderObservations(effects []schedule.Effect) {
	if !r.observed() {
		return
	}
	for _, e := range effects {
		if e.Do == schedule.Hold && e.Err != nil {
			e.Task.Told = make(chan struct{})
		}
	}
}
