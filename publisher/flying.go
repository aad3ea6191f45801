package publisher

import (
	"sync"
	"time"
)

// flying holds the Pendings that are not decided, to give up on each at its
// deadline. It needs one timer, not one for each: there are at most as many as
// the client's window has places.
type flying struct {
	expired func() error // the cause to give up for

	mu      sync.Mutex
	pending map[*Pending]struct{}
	timer   *time.Timer
	armed   bool // the timer runs
}

// add enters p, unless it is decided already.
func (f *flying) add(p *Pending, deadline time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.landed {
		return
	}
	p.deadline = deadline
	if f.pending == nil {
		f.pending = make(map[*Pending]struct{})
	}
	f.pending[p] = struct{}{}
	if !f.armed {
		f.arm(time.Until(deadline))
	}
}

// remove takes p out, or keeps it from being entered.
func (f *flying) remove(p *Pending) {
	f.mu.Lock()
	p.landed = true
	delete(f.pending, p)
	f.mu.Unlock()
}

func (f *flying) arm(d time.Duration) {
	f.armed = true
	if f.timer == nil {
		f.timer = time.AfterFunc(d, f.expire)
		return
	}
	f.timer.Reset(d)
}

// expire gives up on those whose deadline has passed.
func (f *flying) expire() {
	now := time.Now()
	var late []*Pending
	var next time.Time // deadline among the others
	f.mu.Lock()
	for p := range f.pending {
		switch {
		case !p.deadline.After(now):
			late = append(late, p)
		case next.IsZero() || p.deadline.Before(next):
			next = p.deadline
		}
	}
	f.armed = false
	if !next.IsZero() {
		f.arm(next.Sub(now))
	}
	f.mu.Unlock()
	for _, p := range late {
		p.giveUp(f.expired())
	}
}
