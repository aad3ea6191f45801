package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
)

var (
	// errUnsettled is why an attempt failed that a handler with ManualAck left open.
	errUnsettled = errors.New("the handler returned, and the event was not settled within an ack wait")
	// errGivenBack is why an attempt failed whose handler called Nak without an error.
	errGivenBack = errors.New("given back")
)

// manual is a delivery that the handler settles, once.
type manual struct {
	runner    *runner
	task      *schedule.Task
	mu        sync.Mutex
	claimed   bool        // Ack or Nak was called and has not failed
	expiry    *time.Timer // fails the attempt; set when the handler has returned
	concluded bool        // acknowledged, or the attempt has failed
}

// newManual counts a delivery in that its handler has to settle.
func (r *runner) newManual(t *schedule.Task) *manual {
	r.mu.Lock()
	r.unsettled++
	r.mu.Unlock()
	return &manual{runner: r, task: t}
}

func (m *manual) ack() error {
	if !m.claim() {
		return ErrSettled
	}
	if _, err := m.runner.ack(m.task); err != nil {
		m.unclaim()
		return err
	}
	first := m.conclude()
	r := m.runner
	r.mu.Lock()
	if first {
		r.scheduler.Acknowledged(m.task, time.Now())
		r.unsettled--
	} else {
		r.scheduler.AcknowledgedLate(m.task, time.Now())
	}
	r.unlock()
	return nil
}

func (m *manual) nak(err error) error {
	if !m.claim() {
		return ErrSettled
	}
	if err == nil {
		return m.fail(errGivenBack)
	}
	return m.fail(m.runner.classify(m.task, err))
}

// fail says that the attempt failed, unless it was concluded before.
func (m *manual) fail(err error) error {
	r := m.runner
	f := r.failure(m.task, err)
	first := m.conclude()
	r.mu.Lock()
	defer r.unlock()
	if first {
		r.unsettled--
	}
	switch {
	case r.ended && r.scheduler.Rules().CanNak: // else there is nothing that could be sent too late
		return ErrSubscriptionClosed
	case first && !r.ended:
		r.scheduler.Fail(m.task, f, time.Now())
	}
	return nil
}

// claim reports whether nobody has settled the delivery until now.
func (m *manual) claim() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.claimed
	m.claimed = true
	return !was
}

// unclaim lets an acknowledgement that was not sent be tried again.
func (m *manual) unclaim() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claimed = false
}

// open reports whether the delivery is still to be settled.
func (m *manual) open() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.claimed
}

// conclude reports whether the delivery was not concluded until now. After its attempt
// has failed it may still be acknowledged.
func (m *manual) conclude() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.concluded
	m.concluded = true
	if m.expiry != nil {
		m.expiry.Stop()
	}
	return !was
}

// returned takes in what the handler has returned. An event that it left open may be
// settled for one ack wait more.
func (m *manual) returned(err error) {
	r := m.runner
	r.mu.Lock()
	wait := r.scheduler.AckWait()
	r.scheduler.Returned(m.task, time.Now())
	r.unlock()
	switch {
	case err == nil:
		m.expireAfter(wait)
	case m.claim():
		_ = m.fail(err)
	default:
		r.log.Warn("handler failed after it had settled its event, which stays as it is settled", r.attributes(m.task, slog.Any("error", err))...)
		m.expireAfter(wait) // its Ack may be under way, and fail
	}
}

func (m *manual) expireAfter(wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.concluded {
		m.expiry = time.AfterFunc(wait, func() { _ = m.fail(fmt.Errorf("%w (%v)", errUnsettled, wait)) })
	}
}
