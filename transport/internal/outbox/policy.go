package outbox

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// Policy says when a publish is sent again beside what [Outbox.Connected] does. The zero
// value never sends a publish again over a living connection.
type Policy struct {
	// RepeatWindow, unless it is nil, returns how long the broker surely recognises a
	// message ID. Then a publish that may have been stored is sent again only if it has an
	// ID, and only for that time after the first attempt that may have been stored. nil: the
	// broker recognises nothing, and such a publish may be stored twice. It is called under
	// the owner's lock.
	RepeatWindow func() time.Duration
	// Silence is how long a publish that the broker recognises may go unanswered before it
	// is sent again. It doubles with each time, up to four times of it. Zero: silence says
	// nothing, and nothing is sent again because of it.
	Silence time.Duration
	// RetryWait is how long after [Outbox.RefusedForNow] a publish is sent again. Zero: over the
	// next connection.
	RetryWait time.Duration
	// RetryFor is how long after the first such refusal it is sent again at most. Zero: no limit.
	RetryFor time.Duration
	// Permissions says that the owner tells the outbox what the NATS server refuses
	// ([Outbox.Forbidden]), and that its writer checks when [Outbox.CheckDue] says so. Without
	// it no check is due, except after Forbidden.
	Permissions bool
	// MaxRetries is how often it is sent again after such refusals at most. Zero: no limit.
	MaxRetries int
}

// errTooOldToRepeat is the outcome of a publish that may have been stored, and that the
// broker might store a second time if it were sent again.
var errTooOldToRepeat = fmt.Errorf("%w: no answer came, and sent again it could be stored twice", transport.ErrOutcomeUnknown)

// mayRepeat reports whether a publish that may have been stored may be sent again.
func (policy *Policy) mayRepeat(p *PendingPublish, now time.Time) bool {
	if policy.RepeatWindow == nil {
		return true
	}
	return p.Message.ID != "" && now.Sub(p.firstOpen) < policy.RepeatWindow()
}

// isSilent reports whether a publish has gone unanswered for too long.
func (policy *Policy) isSilent(p *PendingPublish, now time.Time) bool {
	return policy.Silence > 0 && len(p.open) > 0 && now.Sub(p.lastSent) >= policy.Silence<<min(p.silences, 2) && policy.mayRepeat(p, now)
}

// refusedTooOften reports whether a publish that was refused before is given up.
func (policy *Policy) refusedTooOften(p *PendingPublish, now time.Time) bool {
	return policy.MaxRetries > 0 && p.refusals >= policy.MaxRetries || policy.RetryFor > 0 && now.Sub(p.firstRefused) >= policy.RetryFor
}

// Connected says that there is a connection, a first or another one. What was sent over
// an earlier one and not answered is sent again, before what was not sent yet. If answers
// to it may still come (lateAnswers), the outbox waits for them first: it returns true,
// sends nothing, and the owner calls GraceOver a while later.
func (o *Outbox) Connected(lateAnswers bool) (wait bool) {
	if lateAnswers && o.unanswered() {
		o.link, o.heard = linkAwaitingAnswers, false
		return true
	}
	o.link = linkUp
	o.resendAll()
	return false
}

// GraceOver says that the time for late answers has passed. If some came meanwhile, and
// others are missing, it returns true, and the owner calls it again after the same time.
func (o *Outbox) GraceOver() (wait bool) {
	if o.link != linkAwaitingAnswers {
		return false
	}
	return o.Connected(o.heard)
}

// unanswered reports whether something that may have been stored is pending.
func (o *Outbox) unanswered() bool {
	for _, p := range o.pending {
		if len(p.open) > 0 {
			return true
		}
	}
	return false
}

// resendAll puts all that is pending into the queue.
func (o *Outbox) resendAll() {
	var due []*PendingPublish
	for _, p := range o.pending {
		switch {
		case p.writing:
			p.resend = true
		case !p.queued:
			due = append(due, p)
		}
	}
	if len(due) > 0 {
		o.enqueue(due...)
	}
}

// Tick says what time it is. It puts into the queue what is due by then, and returns
// after what time to call it again; zero: not until there is another publish or refusal.
func (o *Outbox) Tick(now time.Time) (wait time.Duration) {
	if len(o.pending) > 0 {
		wait = o.policy.Silence
	}
	within := func(d time.Duration) {
		if wait == 0 || d < wait {
			wait = d
		}
	}
	var due []*PendingPublish
	for _, p := range o.pending {
		retries := !p.retryAt.IsZero()
		switch {
		case p.queued:
		case retries && p.writing:
			within(o.policy.RetryWait)
		case retries && now.Before(p.retryAt):
			within(p.retryAt.Sub(now))
		case retries, !p.writing && o.link == linkUp && o.policy.isSilent(p, now):
			if !retries {
				p.silences++
			}
			due = append(due, p)
		}
	}
	if len(due) > 0 {
		o.enqueue(due...)
	}
	return wait
}
