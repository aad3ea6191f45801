package natsconn

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

// dialing is the attempts to connect that all who ask at the same time share. It ends
// when one succeeds, when no further one can, or when nobody waits for it any more.
type dialing struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when nc or err is set
	nc     *nats.Conn
	err    error

	// Guarded by Separate.mu.
	waiting int   // how many callers wait
	last    error // why the last attempt failed
}

// join makes the caller wait for a connection in place of unusable, which is nil if there
// was none. The first who joins begins to dial.
func (s *Separate) join(unusable *nats.Conn) (*dialing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, transport.ErrClosed
	case s.current != unusable: // another caller has replaced it meanwhile
		d := &dialing{cancel: func() {}, done: make(chan struct{}), nc: s.current, waiting: 1}
		close(d.done)
		return d, nil
	case s.dialing == nil:
		ctx, cancel := context.WithCancel(context.Background())
		d := &dialing{cancel: cancel, done: make(chan struct{})}
		s.dialing = d
		go s.dial(ctx, d)
	}
	s.dialing.waiting++
	return s.dialing, nil
}

// leave ends the wait of one caller. When nobody waits any more, dialing ends.
func (s *Separate) leave(d *dialing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.waiting--
	if d.waiting > 0 {
		return
	}
	d.cancel()
	if s.dialing == d {
		s.dialing = nil
	}
}

func (s *Separate) lastError(d *dialing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.last
}

// dial makes attempts until d has ended.
func (s *Separate) dial(ctx context.Context, d *dialing) {
	defer close(d.done)
	for attempt := 1; ; attempt++ {
		nc, err := s.connect(ctx)
		if s.dialed(d, nc, err) {
			if d.nc == nil && nc != nil {
				nc.Close() // nobody waits for it any more
			}
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(Again.Delay(attempt)):
		}
	}
}

// dialed takes in the result of an attempt, and reports whether d has ended.
func (s *Separate) dialed(d *dialing, nc *nats.Conn, err error) (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		d.err = transport.ErrClosed
	case s.dialing != d:
		d.err = context.Canceled // nobody waits, so that nobody reads it
	case err == nil:
		d.nc, s.current, s.dialing = nc, nc, nil
		s.opened[nc] = struct{}{}
	case transport.Permanent(err):
		d.err, s.dialing = err, nil
	default:
		d.last = err
		return false
	}
	return true
}
