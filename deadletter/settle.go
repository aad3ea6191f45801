package deadletter

import (
	"log/slog"
	"time"

	"github.com/sgtickets/common/listener"
)

// skipFor is how long the listener does not run a dead letter again that is left alone over
// NATS Streaming: longer than any Redrive lasts. The server delivers it again after each
// ack wait.
const skipFor = 24 * time.Hour

// decide records what becomes of an event.
func (r *redriver) decide(e *event, o outcome, err error) {
	if err != nil {
		r.log.Warn("event not put back: its dead letter stays for the next Redrive", slog.String("id", e.id), slog.Any("error", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.firstErr == nil {
		r.firstErr = err
	}
	e.outcome = o
	for i := range e.deadLetters {
		r.counter.add(o, i > 0)
	}
}

// settle settles a dead letter on the goroutine that handles it. It acknowledges the dead
// letter if the event is put back, and returns an error if the dead letter is to be left
// alone. A dead letter whose event is being published stays open: takeResult settles it.
func (r *redriver) settle(dl *deadLetter) error {
	r.mu.Lock()
	delivery, e := dl.delivery, dl.event
	o, open := e.outcome, dl.claimed || e.outcome == undecided && e.sent
	if !open {
		dl.claimed = true
	}
	r.mu.Unlock()
	if open || o == redriven && delivery.Ack() == nil {
		return nil
	}
	return r.leaveAlone(dl.key) // if an acknowledgement was not sent, the dead letter comes again
}

// settleAll settles the dead letters of an event whose publish is decided, or given up.
func (r *redriver) settleAll(e *event) {
	r.mu.Lock()
	o := e.outcome
	var unsettled []deadLetter
	for _, dl := range e.deadLetters {
		if !dl.claimed {
			dl.claimed = true
			unsettled = append(unsettled, *dl)
		}
	}
	r.mu.Unlock()
	for _, dl := range unsettled {
		if o != redriven || dl.delivery.Ack() != nil {
			_ = dl.delivery.Nak(r.leaveAlone(dl.key))
		}
	}
}

// leaveAlone returns the error with which a dead letter is left to the next Redrive.
// Meanwhile the listener gives it back to the broker, where that is possible, so that it
// takes no room. The more dead letters are given back, the later each comes again, so that
// the broker has time for those that have not come yet.
func (r *redriver) leaveAlone(key messageKey) error {
	if !r.features.Nak {
		return listener.RetryAfter(skipFor, nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leftAlone[key] = struct{}{}
	return listener.RetryAfter(r.ackWait+time.Duration(len(r.leftAlone))*time.Millisecond, nil)
}
