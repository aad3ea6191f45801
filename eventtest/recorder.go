package eventtest

import (
	"sync"

	"github.com/sgtickets/common/observe"
)

// messageKey is what an observation says of the message that it is about.
type messageKey struct {
	subject, group string
	sequence       uint64
	stored         int64 // when the broker stored it, in nanoseconds since 1970
}

// recorder is the observer of a bus's client. It passes each observation to the recorded
// delivery that it is about. Of the events that the broker delivered it knows which are
// tried again. The zero value is ready. It is safe for concurrent use.
type recorder struct {
	mu       sync.Mutex
	recorded map[messageKey]*recordedDelivery
	retried  map[messageKey]*retriedEvent
}

// add makes the recorder pass on the observations of a delivery.
func (r *recorder) add(d *recordedDelivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recorded == nil {
		r.recorded = make(map[messageKey]*recordedDelivery)
	}
	r.recorded[d.message] = d
}

// remove undoes add.
func (r *recorder) remove(d *recordedDelivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recorded[d.message] == d { // and not a second delivery of the message
		delete(r.recorded, d.message)
	}
}

// Observe implements observe.Observer.
func (r *recorder) Observe(o observe.Observation) {
	key := messageKey{string(o.Subject), o.Group, o.Sequence, o.Timestamp.UnixNano()}
	r.mu.Lock()
	d := r.recorded[key]
	if d == nil {
		r.record(key, o)
	}
	r.mu.Unlock()
	if d != nil {
		d.observe(o)
	}
}
