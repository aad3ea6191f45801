// Package lifecycle keeps the ends of connections and subscriptions: each ends
// once, for one reason, and a subscription ends with its connection.
package lifecycle

import "sync"

// Ending is the end of something, which comes once. It is made by [NewEnding],
// and safe for concurrent use.
type Ending struct {
	once sync.Once
	done chan struct{}
	err  error // written before done is closed
}

// NewEnding returns an end that has not come.
func NewEnding() *Ending { return &Ending{done: make(chan struct{})} }

// Finish makes err the end, and reports whether it had not come before.
func (e *Ending) Finish(err error) (first bool) {
	e.once.Do(func() {
		e.err = err
		close(e.done)
		first = true
	})
	return first
}

// Done is closed when the end has come.
func (e *Ending) Done() <-chan struct{} { return e.done }

// Err is nil until Done is closed, and then why.
func (e *Ending) Err() error {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

// Life is a connection's: set up, then lost or closed, whichever comes first.
// Its zero value is not usable; see [New]. It is safe for concurrent use.
type Life struct {
	*Ending

	mu      sync.Mutex
	up      bool // set up, and Close has not begun: an end is a loss
	members map[*Ending]struct{}
}

// New returns a life that has not begun.
func New() *Life { return &Life{Ending: NewEnding(), members: make(map[*Ending]struct{})} }

// Begin says that the connection is set up.
func (l *Life) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = true
}

// Up reports whether it is set up and not being closed, so that its end is a loss.
func (l *Life) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// Closing says that it is being closed, and reports whether it was up until now.
func (l *Life) Closing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.up
	l.up = false
	return was
}

// End makes err the end of the connection and of all that has entered. It
// reports whether it had not ended before.
func (l *Life) End(err error) bool {
	l.mu.Lock()
	first := l.Finish(err)
	members := l.members
	if first {
		l.members = nil
	}
	l.mu.Unlock()
	if first {
		for m := range members {
			m.Finish(err)
		}
	}
	return first
}

// Enter makes a subscription end with the connection.
func (l *Life) Enter(e *Ending) {
	l.mu.Lock()
	err := l.Err()
	if err == nil {
		l.members[e] = struct{}{}
	}
	l.mu.Unlock()
	if err != nil {
		e.Finish(err)
	}
}

// Leave forgets a subscription that has ended by itself.
func (l *Life) Leave(e *Ending) {
	l.mu.Lock()
	delete(l.members, e)
	l.mu.Unlock()
}
