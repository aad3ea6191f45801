package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errLinkLost is why a request was given up whose answer went down with the link.
var errLinkLost = errors.New("the connection to the NATS server was lost before the answer came")

// link tells whether the connection to the NATS server is there, as far as nats.go's
// callbacks have said. They may be late: what is sent while the link is said to be away may
// go over the link that is back already. Its zero value says that the connection is there.
// It is safe for concurrent use.
type link struct {
	mu     sync.Mutex
	period context.Context //nolint:containedctx // ends when the link is lost for the next time; nil: nobody has asked
	lose   context.CancelCauseFunc
	lost   bool
	backAt time.Time     // when it was restored last; zero: never
	back   chan struct{} // closed when the link is back; nil: nobody waits
}

// current returns a context that ends with errLinkLost when the link is lost for the next
// time, and a channel that is closed when a link that is away, or is lost from now on, is back.
func (l *link) current() (period context.Context, back <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.period == nil {
		l.period, l.lose = context.WithCancelCause(context.Background())
	}
	if l.back == nil {
		l.back = make(chan struct{})
	}
	return l.period, l.back
}

// isAway tells whether the link is away.
func (l *link) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// isFresh tells whether the link was restored less than that time ago.
func (l *link) isFresh(age time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.backAt.IsZero() && time.Since(l.backAt) < age
}

func (l *link) onDisconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
	l.endPeriod()
}

// onReconnect leaves a period that has begun while the link was away: it is that of the link
// that is back.
func (l *link) onReconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost { // the loss was not told
		l.endPeriod()
	}
	l.lost, l.backAt = false, time.Now()
	if l.back != nil {
		close(l.back)
		l.back = nil
	}
}

// endPeriod is called with l.mu held.
func (l *link) endPeriod() {
	if l.lose != nil {
		l.lose(errLinkLost)
	}
	l.period, l.lose = nil, nil
}
