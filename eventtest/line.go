package eventtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// lineKey is the key of a line in the context of its Listen.
type lineKey struct{}

var (
	errForeign   = errors.New("the listener was made from another client: make it from this bus's Client()")
	errListening = errors.New("the listener listens already, and Deliver makes it listen by itself: leave Listen out of this test, or publish the event instead")
	errClosed    = errors.New("the bus's client is closed: deliver before that")
)

// target is a listener of whatever type.
type target interface {
	Listen(ctx context.Context) error
	Ready() <-chan struct{}
}

// line is one Listen of a listener whose broker is the test, and its subscription.
// There is one as long as Deliver needs it, and with ManualAck as long as
// something is not settled.
type line struct {
	bus     *Bus
	cancel  context.CancelFunc // ends Listen
	claimed atomic.Bool        // by the first subscription: what a handler does with its context is its own affair
	taken   chan struct{}      // closed when Listen has subscribed
	ended   chan struct{}      // closed when Listen has returned
	err     error              // what it returned

	users   int       // calls of Deliver that use it; the bus's lock guards it
	parcels []*parcel // likewise
	ending  bool      // likewise: for no more uses

	config  transport.SubscribeConfig // set before taken is closed
	deliver func(transport.Delivery)

	mu      sync.Mutex // held during deliver
	stopped bool
	once    sync.Once
	done    chan struct{}
}

// line returns the line to l, which it begins if there is none. The caller counts
// as a user of it.
func (b *Bus) line(l target) (*line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.lines[l] != nil && b.lines[l].ending {
		b.await(l, b.lines[l])
	}
	ln := b.lines[l]
	if ln == nil {
		ln = &line{bus: b, taken: make(chan struct{}), ended: make(chan struct{}), done: make(chan struct{})}
		if err := ln.begin(l); err != nil {
			return nil, err
		}
		b.lines[l] = ln
	}
	ln.users++
	return ln, nil
}

// await waits for the end of a line, without the lock that is held otherwise: a
// synctest bubble that waits for a lock lets no time pass.
func (b *Bus) await(l target, ln *line) {
	b.mu.Unlock()
	<-ln.ended
	b.mu.Lock()
	if b.lines[l] == ln {
		delete(b.lines, l)
	}
}

// begin makes l listen.
func (ln *line) begin(l target) error {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), lineKey{}, ln))
	ln.cancel = cancel
	ready := l.Ready()
	go func() {
		defer close(ln.ended)
		ln.err = l.Listen(ctx)
	}()
	select {
	case <-ln.taken:
		return nil
	case <-ln.ended:
	case <-ready:
		select {
		case <-ln.taken:
			return nil
		default: // subscribed elsewhere, by this Listen or by one of the test's own
		}
	}
	cancel()
	<-ln.ended
	switch {
	case errors.Is(ln.err, listener.ErrListening):
		return errListening
	case errors.Is(ln.err, listener.ErrClosed):
		return errClosed
	case ln.err == nil, errors.Is(ln.err, errForeign):
		return errForeign
	default:
		return ln.err
	}
}

// finish ends the line to l once nobody uses it. What ManualAck left open is waited
// for, one ack wait long at most.
func (b *Bus) finish(l target, ln *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines[l] == ln {
		b.end(l, ln)
	}
}

// leave ends the use of a line, and the line with its last use unless something is
// open.
func (b *Bus) leave(l target, ln *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ln.users--
	ln.parcels = slices.DeleteFunc(ln.parcels, func(p *parcel) bool { return !p.open() })
	if ln.users == 0 && (ln.ending || len(ln.parcels) == 0) {
		b.end(l, ln)
	}
}

// end lets nobody use the line any more, and waits for its end.
func (b *Bus) end(l target, ln *line) {
	ln.ending = true
	if ln.users == 0 {
		ln.cancel()
	}
	b.await(l, ln)
}

// send delivers d and waits until the listener is done with it.
func (ln *line) send(d transport.Delivery) (*parcel, error) {
	p := &parcel{line: ln, concluded: make(chan struct{})}
	d.Settler, d.Once = p, true
	ln.bus.parcels.add(d, p)
	ln.bus.mu.Lock()
	ln.parcels = append(ln.parcels, p)
	ln.bus.mu.Unlock()
	ln.hand(d)
	select {
	case <-p.concluded:
		return p, nil
	case <-ln.ended:
	}
	select {
	case <-p.concluded:
		return p, nil
	default:
		return nil, fmt.Errorf("the listener ended before it took the event: %w", errClosed)
	}
}

func (ln *line) hand(d transport.Delivery) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if !ln.stopped {
		ln.deliver(d)
	}
}

// open makes the line the subscription that Listen asked for.
func (ln *line) open(s transport.SubscribeConfig, deliver func(transport.Delivery)) {
	ln.config, ln.deliver = s, deliver
	close(ln.taken)
}

// Stop implements transport.Subscription.
func (ln *line) Stop() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.stopped = true
}

// Close implements transport.Subscription.
func (ln *line) Close(context.Context) error {
	ln.Stop()
	ln.once.Do(func() { close(ln.done) })
	return nil
}

// AckWait implements transport.Subscription.
func (ln *line) AckWait() time.Duration { return ln.config.AckWait }

// Done implements transport.Subscription.
func (ln *line) Done() <-chan struct{} { return ln.done }

// Err implements transport.Subscription.
func (ln *line) Err() error {
	select {
	case <-ln.done:
		return transport.ErrClosed
	default:
		return nil
	}
}
