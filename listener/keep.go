package listener

import (
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/transport"
)

// keepsIn: where the broker lets a member begin the ack wait of an event anew,
// this is done as many times in each, so that no event that is here runs a second
// time elsewhere, however slow the handlers are.
const keepsIn = 3

// appliesAckWait is told what the broker applies: it may know the durable with
// another ack wait than the listener has.
func (r *run) appliesAckWait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.ackWait = d
	r.pace.ackWait.Store(int64(d))
	r.warnOfSettings()
}

// keep makes sure that what is here is kept. It is called with r.mu held.
func (r *run) keep() {
	if r.keeper == nil && r.book.keeps && len(r.book.active) > 0 {
		r.keeper = time.AfterFunc(r.book.ackWait/keepsIn, r.keepNow)
	}
}

// keepNow begins the ack wait anew of what waits or runs.
func (r *run) keepNow() {
	r.mu.Lock()
	r.keeper = nil
	if r.over {
		r.mu.Unlock()
		return
	}
	now := time.Now()
	var settlers []transport.Settler
	for _, w := range r.book.kept(now.Add(-r.book.ackWait / (2 * keepsIn))) {
		w.received = now
		settlers = append(settlers, w.delivery.Settler)
	}
	r.keep()
	r.mu.Unlock()
	for _, s := range settlers {
		_ = s.InProgress() // when it does not get through, the event comes again, as it does without
	}
}

// kept returns what is here and was received, or kept last, before then: what is to be
// run, runs, or rests, or was left open by its handler. That is given up here, and not
// by the server at the same moment.
func (b *book) kept(then time.Time) []*work {
	var all []*work
	for _, w := range b.active {
		if w.state != gone && w.received.Before(then) {
			all = append(all, w)
		}
	}
	sortByID(all)
	return all
}

// pace is how long the handlers take lately, beside the time that they have. The
// zero value has seen none.
type pace struct{ average, ackWait atomic.Int64 }

// saw takes in how long a handler took.
func (p *pace) saw(took time.Duration) {
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

// room is how many events the listener wants to have at a time: as many as its
// handlers can begin within half the ack wait, so that an event does not wait here
// while another member could run it. Before a handler has returned it is those
// that can begin at once. What rests takes no place away from them.
func (r *run) room() int {
	o := r.core.options
	took, ackWait, resting := r.pace.average.Load(), r.pace.ackWait.Load(), int(r.resting.Load())
	if took == 0 || ackWait == 0 {
		return min(o.concurrency+resting, o.maxInFlight)
	}
	rounds := ackWait / 2 / took
	if rounds >= int64(o.maxInFlight) {
		return o.maxInFlight
	}
	return min(max(int(rounds), 1)*o.concurrency+resting, o.maxInFlight)
}
