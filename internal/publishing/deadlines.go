package publishing

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// deadlines abandons asynchronous publishes at their deadlines. All are given the same
// time, so that the oldest is the next to expire: a list and one timer do for all.
type deadlines struct {
	conn    transport.Conn
	expired func() error // makes the cause of a publish that has expired

	mu          sync.Mutex
	first, last *Pending // linked by their entries
	timer       *time.Timer
	armed       bool // the timer runs
}

// add lists p until timeout has passed, unless its outcome is here already.
func (d *deadlines) add(p *Pending, timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := &p.deadline
	if e.closed {
		return
	}
	e.at = time.Now().Add(timeout)
	e.listed = true
	if e.previous = d.last; e.previous == nil {
		d.first = p
	} else {
		e.previous.deadline.next = p
	}
	d.last = p
	if !d.armed {
		d.arm(timeout)
	}
}

// remove takes p off the list, and keeps add from listing it later.
func (d *deadlines) remove(p *Pending) {
	d.mu.Lock()
	p.deadline.closed = true
	d.unlink(p)
	d.mu.Unlock()
}

// unlink takes p off the list. d.mu is locked.
func (d *deadlines) unlink(p *Pending) {
	e := &p.deadline
	if !e.listed {
		return
	}
	if e.previous == nil {
		d.first = e.next
	} else {
		e.previous.deadline.next = e.next
	}
	if e.next == nil {
		d.last = e.previous
	} else {
		e.next.deadline.previous = e.previous
	}
	e.listed, e.previous, e.next = false, nil, nil
}

// arm starts the timer. d.mu is locked.
func (d *deadlines) arm(after time.Duration) {
	d.armed = true
	if d.timer == nil {
		d.timer = time.AfterFunc(after, d.expire)
		return
	}
	d.timer.Reset(after)
}

// expire abandons the publishes whose deadline has passed.
func (d *deadlines) expire() {
	now := time.Now()
	var late []transport.Ticket // and not the Pendings: once unlocked, they may be used for other publishes
	d.mu.Lock()
	for p := d.first; p != nil && !p.deadline.at.After(now); p = d.first {
		p.blame(d.expired())
		late = append(late, p.ticket)
		d.unlink(p)
	}
	d.armed = false
	if d.first != nil {
		d.arm(d.first.deadline.at.Sub(now))
	}
	d.mu.Unlock()
	for _, t := range late {
		d.conn.Abandon(t)
	}
}
