package deadletter

import (
	"sync"

	"github.com/sgtickets/common/transport"
)

// redeliveryQueue holds what the transport reports until the redriver takes it, so that the
// transport never waits. It is safe for concurrent use.
type redeliveryQueue struct {
	wake chan struct{} // has an element when something is new

	mu          sync.Mutex
	deliveries  []transport.Delivery
	results     []publishResult
	interrupted bool
}

// publishResult is the outcome of a publish.
type publishResult struct {
	event *event
	err   error
}

func newRedeliveryQueue() *redeliveryQueue { return &redeliveryQueue{wake: make(chan struct{}, 1)} }

// change changes the queue and wakes the redriver.
func (q *redeliveryQueue) change(do func()) {
	q.mu.Lock()
	do()
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// addDelivery adds a dead letter that was delivered.
func (q *redeliveryQueue) addDelivery(d transport.Delivery) {
	q.change(func() { q.deliveries = append(q.deliveries, d) })
}

// addResult adds the outcome of a publish.
func (q *redeliveryQueue) addResult(e *event, err error) {
	q.change(func() { q.results = append(q.results, publishResult{e, err}) })
}

// interrupt drops the deliveries: the connection was lost, and they come again.
func (q *redeliveryQueue) interrupt() {
	q.change(func() { q.deliveries, q.interrupted = nil, true })
}

// takeDelivery takes the oldest delivery.
func (q *redeliveryQueue) takeDelivery() (transport.Delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.deliveries) == 0 {
		return transport.Delivery{}, false
	}
	d := q.deliveries[0]
	q.deliveries[0] = transport.Delivery{} // so that the slice does not keep it
	q.deliveries = q.deliveries[1:]
	return d, true
}

// takeResults takes all outcomes of publishes.
func (q *redeliveryQueue) takeResults() []publishResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.results
	q.results = nil
	return all
}

// takeInterrupted reports whether interrupt was called since the last call.
func (q *redeliveryQueue) takeInterrupted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.interrupted
	q.interrupted = false
	return was
}

// empty reports whether there is nothing to take.
func (q *redeliveryQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.deliveries) == 0 && len(q.results) == 0 && !q.interrupted
}
