package deadletter

import (
	"sync"

	"github.com/sgtickets/common/transport"
)

// desk is where the transport lays down what happens, without having to wait, for
// the goroutine of the pass to take up.
type desk struct {
	wake chan struct{} // has an element when something is new

	mu      sync.Mutex
	letters []transport.Delivery
	results []outcome
	cut     bool
}

// outcome is what became of a publish.
type outcome struct {
	event *event
	err   error
}

func newDesk() *desk { return &desk{wake: make(chan struct{}, 1)} }

// put does something to the desk and wakes the pass.
func (k *desk) put(do func()) {
	k.mu.Lock()
	do()
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *desk) deliver(d transport.Delivery) { k.put(func() { k.letters = append(k.letters, d) }) }

func (k *desk) settled(e *event, err error) {
	k.put(func() { k.results = append(k.results, outcome{e, err}) })
}

// interrupt: the connection was lost, and what nobody has begun comes again.
func (k *desk) interrupt() { k.put(func() { k.letters, k.cut = nil, true }) }

// next takes the oldest delivery.
func (k *desk) next() (transport.Delivery, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.letters) == 0 {
		return transport.Delivery{}, false
	}
	d := k.letters[0]
	k.letters[0] = transport.Delivery{} // so that the slice does not keep it
	k.letters = k.letters[1:]
	return d, true
}

// outcomes takes what became of publishes.
func (k *desk) outcomes() []outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.results
	k.results = nil
	return all
}

// interrupted reports, once, that interrupt was called.
func (k *desk) interrupted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.cut
	k.cut = false
	return was
}

func (k *desk) empty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.letters) == 0 && len(k.results) == 0 && !k.cut
}
