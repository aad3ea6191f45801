package publisher

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// flying holds the Pendings that are not decided, to give up on each at its
// deadline. All are given the same time, so that the first is the next to be late;
// it needs one timer, not one for each.
type flying struct {
	expired func() error // the cause to give up for

	mu          sync.Mutex
	first, last *Pending // linked by their next and previous
	timer       *time.Timer
	armed       bool // the timer runs
}

// add enters p, to be given up when that time has passed, unless it is decided already.
func (f *flying) add(p *Pending, timeout time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.landed {
		return
	}
	p.deadline = time.Now().Add(timeout)
	p.listed = true
	if p.previous = f.last; p.previous == nil {
		f.first = p
	} else {
		p.previous.next = p
	}
	f.last = p
	if !f.armed {
		f.arm(timeout)
	}
}

// remove takes p out, or keeps it from being entered.
func (f *flying) remove(p *Pending) {
	f.mu.Lock()
	p.landed = true
	f.unlink(p)
	f.mu.Unlock()
}

func (f *flying) unlink(p *Pending) {
	if !p.listed {
		return
	}
	if p.previous == nil {
		f.first = p.next
	} else {
		p.previous.next = p.next
	}
	if p.next == nil {
		f.last = p.previous
	} else {
		p.next.previous = p.previous
	}
	p.listed, p.previous, p.next = false, nil, nil
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
	var conn transport.Conn
	var late []transport.Ticket // and not the Pendings, which may be others' by then
	f.mu.Lock()
	for p := f.first; p != nil && !p.deadline.After(now); p = f.first {
		p.blame(f.expired())
		conn, late = p.core.session.Conn, append(late, p.ticket)
		f.unlink(p)
	}
	f.armed = false
	if f.first != nil {
		f.arm(f.first.deadline.Sub(now))
	}
	f.mu.Unlock()
	for _, t := range late {
		conn.Abandon(t)
	}
}
