package eventtest

import (
	"context"
	"errors"
	"slices"

	"github.com/sgtickets/common/listener"
)

var (
	errForeign   = errors.New("the listener was made from another client: make it from this bus's Client()")
	errListening = errors.New("the listener listens already, and Deliver makes it listen by itself: leave Listen out of this test, or publish the event instead")
	errClosed    = errors.New("the bus's client is closed: deliver before that")
)

// anyListener is a listener of whatever type.
type anyListener interface {
	Listen(ctx context.Context) error
	Ready() <-chan struct{}
}

// use returns the fake subscription of a listener, and makes the listener listen if there
// is none. The caller counts as a user until it calls endUse.
func (b *Bus) use(l anyListener) (*fakeSubscription, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.fakes[l] != nil && b.fakes[l].ending {
		b.awaitEnd(l, b.fakes[l])
	}
	sub := b.fakes[l]
	if sub == nil {
		sub = newFakeSubscription(b)
		if err := sub.listen(l); err != nil {
			return nil, err
		}
		b.fakes[l] = sub
	}
	sub.users++
	return sub, nil
}

// listen makes l listen, and returns when it has subscribed.
func (s *fakeSubscription) listen(l anyListener) error {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), fakeKey{}, s))
	s.cancel = cancel
	ready := l.Ready()
	go func() {
		defer close(s.ended)
		s.err = l.Listen(ctx)
	}()
	select {
	case <-s.subscribed:
		return nil
	case <-s.ended:
	case <-ready:
		select {
		case <-s.subscribed:
			return nil
		default: // it subscribed elsewhere, in this Listen or in one of the test's own
		}
	}
	cancel()
	<-s.ended
	switch {
	case errors.Is(s.err, listener.ErrListening):
		return errListening
	case errors.Is(s.err, listener.ErrClosed):
		return errClosed
	case s.err == nil, errors.Is(s.err, errForeign):
		return errForeign
	default:
		return s.err
	}
}

// endUse ends the use of a fake subscription. The last user ends the subscription, unless
// a delivery is open.
func (b *Bus) endUse(l anyListener, sub *fakeSubscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sub.users--
	sub.deliveries = slices.DeleteFunc(sub.deliveries, func(d *recordedDelivery) bool {
		if !d.isConcluded() || d.open() { // another Deliver waits for it, or its handler has left it open
			return false
		}
		b.recorder.remove(d)
		return true
	})
	if sub.users == 0 && (sub.ending || len(sub.deliveries) == 0) {
		b.end(l, sub)
	}
}

// finish ends a fake subscription as soon as nobody uses it. It waits until open
// deliveries are settled, for one ack wait at most.
func (b *Bus) finish(l anyListener, sub *fakeSubscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fakes[l] == sub {
		b.end(l, sub)
	}
}

// end lets no further call of Deliver use the fake subscription, and waits for its end. It
// is called with the lock held.
func (b *Bus) end(l anyListener, sub *fakeSubscription) {
	sub.ending = true
	if sub.users == 0 {
		sub.cancel()
	}
	b.awaitEnd(l, sub)
}

// awaitEnd waits until Listen has returned. It is called with the lock held, and releases
// it meanwhile: in a synctest bubble no time passes while a goroutine waits for a lock.
func (b *Bus) awaitEnd(l anyListener, sub *fakeSubscription) {
	b.mu.Unlock()
	<-sub.ended
	b.mu.Lock()
	if b.fakes[l] == sub {
		delete(b.fakes, l)
		for _, d := range sub.deliveries {
			b.recorder.remove(d)
		}
	}
}
