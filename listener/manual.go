package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// errUnsettled is why an attempt failed that a handler with ManualAck left open.
var errUnsettled = errors.New("the handler returned, and the event was not settled within an ack wait")

// manual is settled by the handler, once.
type manual struct {
	run      *run
	work     *work
	mu       sync.Mutex
	settled  bool
	expiry   *time.Timer // gives up on it; set when the handler has returned
	released bool        // settled, or given up
}

// manual counts a delivery with ManualAck in.
func (r *run) manual(w *work) *manual {
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	return &manual{run: r, work: w}
}

func (m *manual) ack() error {
	if !m.settle() {
		return ErrSettled
	}
	if err := m.run.ack(m.work); err != nil {
		m.reopen()
		return err
	}
	first := m.release()
	r := m.run
	r.mu.Lock()
	if first {
		r.book.handled(m.work, time.Now())
		r.open--
	} else {
		r.book.handledLate(m.work, time.Now())
	}
	r.unlock()
	return nil
}

// reopen lets what was not sent be tried again.
func (m *manual) reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = false
}

func (m *manual) nak(err error) error {
	if !m.settle() {
		return ErrSettled
	}
	if err == nil {
		err = errors.New("given back")
	}
	return m.fail(err)
}

// fail says that the attempt came to nothing, unless it was given up before.
func (m *manual) fail(err error) error {
	first := m.release()
	r := m.run
	r.mu.Lock()
	defer r.unlock()
	if first {
		r.open--
	}
	switch {
	case r.over && r.book.gives: // else there is nothing that could be sent too late
		return ErrSubscriptionClosed
	case first && !r.over:
		r.book.fail(m.work, failed(err), time.Now())
	}
	return nil
}

// settle reports whether it was open until now.
func (m *manual) settle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.settled
	m.settled = true
	return !was
}

// release reports whether it was not settled or given up until now. After it was
// given up it may still be acknowledged, if it comes to it.
func (m *manual) release() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.released
	m.released = true
	if m.expiry != nil {
		m.expiry.Stop()
	}
	return !was
}

// returned takes in what the handler has returned. What it left open may be settled
// for one ack wait more.
func (m *manual) returned(d transport.Delivery, err error) {
	r := m.run
	r.mu.Lock()
	wait := r.book.ackWait
	r.book.returned(m.work, time.Now())
	dying := m.work.state == dying
	r.unlock()
	switch {
	case err == nil:
		m.expireAfter(wait)
	case m.settle():
		_ = m.fail(err)
		return
	default:
		r.log.Warn("handler failed after it had settled its event, which stays as it is settled", r.attributes(m.work, slog.Any("error", err))...)
		observe(d.Settler, err)
		m.expireAfter(wait) // its Ack may be under way, and fail
	}
	if m.work.observed && !dying {
		conclude(d.Settler)
	}
}

func (m *manual) expireAfter(wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.released {
		m.expiry = time.AfterFunc(wait, func() { _ = m.fail(fmt.Errorf("%w (%v)", errUnsettled, wait)) })
	}
}
