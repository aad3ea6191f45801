package outbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// Stored says that the broker has stored a publish, in answer to that attempt. It counts
// whenever it is heard, and whichever attempt it is for.
func (o *Outbox) Stored(t transport.Ticket, a Attempt) Outcome {
	o.heard = true
	o.answered(t, a)
	p, ok := o.pending[t]
	if !ok {
		return Outcome{}
	}
	p.closeAttempt(a)
	return o.settle(p, nil)
}

// NotStored says that the broker has not stored that attempt and will not, and why. If it
// is the latest attempt, the publish is decided: as not stored, or, if an earlier attempt
// may have been stored, as of unknown outcome. cause must match neither
// transport.ErrNotStored nor transport.ErrOutcomeUnknown.
func (o *Outbox) NotStored(t transport.Ticket, a Attempt, cause error) Outcome {
	o.heard = true
	o.answered(t, a)
	return o.notStored(t, a, cause)
}

func (o *Outbox) notStored(t transport.Ticket, a Attempt, cause error) Outcome {
	p, ok := o.pending[t]
	if !ok || !p.closeAttempt(a) || a != p.attempt {
		return Outcome{}
	}
	if len(p.open) > 0 {
		return o.settle(p, fmt.Errorf("%w: it may have been stored when it was sent before; this time it was not: %w", transport.ErrOutcomeUnknown, cause))
	}
	return o.settle(p, fmt.Errorf("%w: %w", transport.ErrNotStored, cause))
}

// Ambiguous says that the broker's answer to that attempt leaves open whether it was
// stored, and why. If it is the latest attempt, the publish is decided so.
func (o *Outbox) Ambiguous(t transport.Ticket, a Attempt, cause error) Outcome {
	o.heard = true
	o.answered(t, a)
	p, ok := o.pending[t]
	if !ok || a != p.attempt {
		return Outcome{}
	}
	p.closeAttempt(a)
	return o.settle(p, fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, cause))
}

// RefusedForNow says that the broker has not stored that attempt, but may store another.
// It returns false if the policy allows no other: then nothing has changed, and the owner
// decides with NotStored. Otherwise the publish is sent again after the policy's RetryWait,
// or over the next connection if that is zero.
func (o *Outbox) RefusedForNow(t transport.Ticket, a Attempt, now time.Time) (again bool) {
	o.heard = true
	o.answered(t, a)
	p, ok := o.pending[t]
	if !ok {
		return true
	}
	if a != p.attempt {
		p.closeAttempt(a)
		return true // the latest attempt's answer decides
	}
	if p.refusals > 0 && o.policy.refusedTooOften(p, now) {
		return false
	}
	if !p.closeAttempt(a) {
		return true // the answer came twice
	}
	p.refusals++
	if p.refusals == 1 {
		p.firstRefused = now
	}
	if o.policy.RetryWait > 0 && !p.queued {
		p.retryAt = now.Add(o.policy.RetryWait)
	}
	return true
}

// Abandon decides a publish that nobody waits for any more: as not stored if no attempt
// can have been stored, and as of unknown outcome otherwise.
func (o *Outbox) Abandon(t transport.Ticket) Outcome {
	p, ok := o.pending[t]
	if !ok {
		return Outcome{}
	}
	if len(p.open) > 0 {
		return o.settle(p, transport.ErrOutcomeUnknown)
	}
	return o.settle(p, transport.ErrNotStored)
}

// Awaits reports whether the publish waits for the answer to that attempt.
func (o *Outbox) Awaits(t transport.Ticket, a Attempt) bool {
	p, ok := o.pending[t]
	return ok && p.attempt == a && slices.Contains(p.open, a)
}
