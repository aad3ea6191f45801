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
// callbacks have said. They may be late. Its zero value says that the connection is there.
// It is safe for concurrent use.
type link struct {
	mu     sync.Mutex
	period context.Context //nolint:containedctx // ends when the link is lost; nil: nobody has asked
	lose   context.CancelCauseFunc
	lost   bool
	backAt time.Time     // when it was restored last; zero: never
	back   chan struct{} // closed when the link is back; nil: nobody waits
}

// current returns a context that ends with errLinkLost when the link is lost, or has ended
// if the link is away, and a channel that is closed when a link that is away is back.
func (l *link) current() (period context.Context, back <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.period == nil {
		l.period, l.lose = context.WithCancelCause(context.Background())
		if l.lost {
			l.lose(errLinkLost)
		}
	}
	if l.back == nil {
		l.back = make(chan struct{})
	}
	return l.period, l.back
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
	if l.lose != nil {
		l.lose(errLinkLost)
	}
}

func (l *link) onReconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost, l.backAt = false, time.Now()
	if l.lose != nil {
		l.lose(errLinkLost) // also if the loss was not told
	}
	l.period, l.lose = nil, nil
	if l.back != nil {
		close(l.back)
		l.back = nil
	}
}
