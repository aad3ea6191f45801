// Package lifecycle ends connections and subscriptions: each ends once, for one reason, and a
// subscription ends with its connection.
package lifecycle

import "sync"

// Ending is the end of a connection or a subscription, which comes once. It is made by
// [NewEnding], and safe for concurrent use.
type Ending struct {
	once sync.Once
	done chan struct{}
	err  error // written before done is closed
}

// NewEnding returns an end that has not come yet.
func NewEnding() *Ending { return &Ending{done: make(chan struct{})} }

// Finish ends it with err as the reason. It returns false, and changes nothing, if it has
// ended before.
func (e *Ending) Finish(err error) (first bool) {
	e.once.Do(func() {
		e.err = err
		close(e.done)
		first = true
	})
	return first
}

// Done returns a channel that is closed at the end.
func (e *Ending) Done() <-chan struct{} { return e.done }

// Err returns nil until Done is closed, and the reason for the end from then on.
func (e *Ending) Err() error {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

// Life is the life of a connection: it is set up, and then lost or closed, whichever comes
// first. Its zero value is not usable; see [New]. It is safe for concurrent use.
type Life struct {
	*Ending

	mu            sync.Mutex
	up            bool // it is set up, and Close has not begun: an end is a loss
	subscriptions map[*Ending]struct{}
}

// New returns a life that has not begun.
func New() *Life { return &Life{Ending: NewEnding(), subscriptions: make(map[*Ending]struct{})} }

// Begin says that the connection is set up.
func (l *Life) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = true
}

// Up reports whether the connection is set up and not being closed, so that its end is a
// loss.
func (l *Life) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// Closing says that the connection is being closed. It returns false if it was not up: it
// was not set up, or it is being closed already.
func (l *Life) Closing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.up
	l.up = false
	return was
}

// End ends the connection, and all its subscriptions, with err as the reason. It returns
// false, and changes nothing, if the connection has ended before.
func (l *Life) End(err error) bool {
	l.mu.Lock()
	first := l.Finish(err)
	subscriptions := l.subscriptions
	if first {
		l.subscriptions = nil
	}
	l.mu.Unlock()
	if first {
		for s := range subscriptions {
			s.Finish(err)
		}
	}
	return first
}

// Enter makes a subscription end with the connection. If the connection has ended, so does
// the subscription.
func (l *Life) Enter(e *Ending) {
	l.mu.Lock()
	err := l.Err()
	if err == nil {
		l.subscriptions[e] = struct{}{}
	}
	l.mu.Unlock()
	if err != nil {
		e.Finish(err)
	}
}

// Leave removes a subscription that has ended by itself.
func (l *Life) Leave(e *Ending) {
	l.mu.Lock()
	delete(l.subscriptions, e)
	l.mu.Unlock()
}
