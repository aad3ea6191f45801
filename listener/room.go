package listener

import (
	"sync/atomic"
	"time"
)

// pace is how long the handlers take lately, beside the time that they have. The zero
// value has seen none.
type pace struct{ average, ackWait atomic.Int64 }

// add takes in how long a handler took.
func (p *pace) add(took time.Duration) {
	before := p.average.Load()
	if before == 0 {
		p.average.Store(max(int64(took), 1))
		return
	}
	weight := int64(4)
	if int64(took) > before {
		weight = 2 // what gets slower counts sooner
	}
	p.average.Store(max(before+(int64(took)-before)/weight, 1))
}

// room is how many events the listener wants to have at a time: as many as its handlers
// can begin within half the ack wait, so that an event does not wait here while another
// member could run it. Before a handler has returned it is those that can begin at once.
// Events that rest take no place away from those that can begin.
func (r *runner) room() int {
	o := r.core.options
	took, ackWait, resting := r.pace.average.Load(), r.pace.ackWait.Load(), int(r.resting.Load())
	if took == 0 || ackWait == 0 {
		return r.startable()
	}
	rounds := ackWait / 2 / took
	if rounds >= int64(o.maxInFlight) {
		return o.maxInFlight
	}
	return min(max(int(rounds), 1)*o.concurrency+resting, o.maxInFlight)
}

// startable is how many events the listener has if each has a handler that can begin it at
// once, beside those that rest.
func (r *runner) startable() int {
	return min(r.core.options.concurrency+int(r.resting.Load()), r.core.options.maxInFlight)
}
