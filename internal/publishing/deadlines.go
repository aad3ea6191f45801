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
	epoch   time.Time    // from which deadlines are counted: half the size of a time each

	mu          sync.Mutex
	first, last *Pending // linked by their previous and next
	timer       *time.Timer
	armed       bool // the timer runs
}

// add lists p until timeout has passed, unless its outcome is here already.
func (d *deadlines) add(p *Pending, timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.closed {
		return
	}
	p.deadline = time.Since(d.epoch) + timeout
	p.listed = true
	if p.previous = d.last; p.previous == nil {
		d.first = p
	} else {
		p.previous.next = p
	}
	d.last = p
	if !d.armed {
		d.arm(timeout)
	}
}

// remove takes p off the list, and keeps add from listing it later.
func (d *deadlines) remove(p *Pending) {
	d.mu.Lock()
	p.closed = true
	d.unlink(p)
	d.mu.Unlock()
}

// unlink takes p off the list. d.mu is locked.
func (d *deadlines) unlink(p *Pending) {
	if !p.listed {
		return
	}
	if p.previous == nil {
		d.first = p.next
	} else {
		p.previous.next = p.next
	}
	if p.next == nil {
		d.last = p.previous
	} else {
		p.next.previous = p.previous
	}
	p.listed, p.previous, p.next = false, nil, nil
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
	now := time.Since(d.epoch)
	var late []transport.Ticket // and not the Pendings: once unlocked, they may be used for other publishes
	d.mu.Lock()
	for p := d.first; p != nil && p.deadline <= now; p = d.first {
		p.blame(d.expired())
		late = append(late, p.ticket)
		d.unlink(p)
	}
	d.armed = false
	if d.first != nil {
		d.arm(d.first.deadline - now)
	}
	d.mu.Unlock()
	for _, t := range late {
		d.conn.Abandon(t)
	}
}
