package outbox

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sgtickets/common/transport"
)

// forbidden is what the outbox knows of attempts that the NATS server has refused since the
// user lacks a permission. The server's error names the subject alone, and comes once for
// each message that it refuses, while it says nothing at once about a message that it lets
// through: the broker confirms that later. So the errors are counted, and the writer checks:
// it sends a PING, and writes nothing until the PONG is here. By then the server has taken
// or refused all that was written before. k errors for a subject mean that exactly k of the
// attempts on it were refused. As soon as no more than k of them are unanswered, these k are
// the refused ones.
type forbidden struct {
	checkDue bool
	// unsure says that errors may belong to attempts of an earlier connection: one that was
	// written shortly before the outbox was told that the connection is gone may have left
	// over the next one.
	unsure     bool
	errors     map[string]refusals  // since the last check, by subject
	unwatched  map[attemptOf]string // unanswered attempts since the last check whose publish is decided, with their subject
	unresolved []*unresolved
	decided    []Outcome // that no method has returned yet
}

// refusals are the server's errors for one subject.
type refusals struct {
	count int
	cause error
}

// attemptOf names one attempt of one publish.
type attemptOf struct {
	ticket  transport.Ticket
	attempt Attempt
}

func (a attemptOf) compare(b attemptOf) int {
	return cmp.Or(cmp.Compare(a.ticket, b.ticket), cmp.Compare(a.attempt, b.attempt))
}

// unresolved are attempts on one subject, count of which were refused.
type unresolved struct {
	refusals

	unanswered map[attemptOf]struct{}
}

// Forbidden says that the NATS server has refused one attempt on that subject for want of a
// permission; cause names it. It returns true if the writer has to check, see CheckDue.
func (o *Outbox) Forbidden(subject string, cause error) (check bool) {
	if o.errors == nil {
		o.errors = make(map[string]refusals)
	}
	o.errors[subject] = refusals{o.errors[subject].count + 1, cause}
	o.checkDue = true
	return o.CheckDue()
}

// CheckDue reports whether the writer has to check before it sends anything else: it sends a
// PING, waits for the PONG, and calls Checked. Until then Next returns nothing.
func (o *Outbox) CheckDue() bool { return o.checkDue && o.link == linkUp }

// Checked ends a check. conclusive is true if the NATS server has taken or refused all that
// was written so far, and Forbidden was called for all that it has refused. The outcomes are
// those of the publishes that are known to be refused by now.
func (o *Outbox) Checked(conclusive bool) []Outcome {
	errors, unwatched, sure := o.errors, o.unwatched, conclusive && !o.unsure
	o.errors, o.unwatched, o.checkDue, o.unsure = nil, nil, false, !conclusive
	o.unresolved = slices.DeleteFunc(o.unresolved, func(u *unresolved) bool { return !o.anyPending(u) })
	if sure {
		for _, subject := range slices.Sorted(maps.Keys(errors)) {
			u := &unresolved{errors[subject], o.uncheckedOn(subject, unwatched)}
			if u.count <= len(u.unanswered) { // else an error was not about a publish of this connection
				o.unresolved = append(o.unresolved, u)
			}
		}
	}
	for _, p := range o.pending {
		p.unchecked = p.attempt + 1
	}
	o.resolve()
	return o.TakeDecided()
}

// uncheckedOn returns the unanswered attempts on a subject since the last check.
func (o *Outbox) uncheckedOn(subject string, unwatched map[attemptOf]string) map[attemptOf]struct{} {
	all := make(map[attemptOf]struct{})
	for _, p := range o.pending {
		if p.Message.Subject != subject {
			continue
		}
		for _, a := range p.open {
			if a >= p.unchecked {
				all[attemptOf{p.ticket, a}] = struct{}{}
			}
		}
	}
	for a, on := range unwatched {
		if on == subject {
			all[a] = struct{}{}
		}
	}
	return all
}

func (o *Outbox) anyPending(u *unresolved) bool {
	for a := range u.unanswered {
		if _, ok := o.pending[a.ticket]; ok {
			return true
		}
	}
	return false
}

// TakeDecided returns the outcomes that an answer to another publish has brought.
func (o *Outbox) TakeDecided() []Outcome {
	decided := o.decided
	o.decided = nil
	return decided
}

// answered says that an attempt was not refused, since it is answered or was not sent at all.
func (o *Outbox) answered(t transport.Ticket, a Attempt) {
	if len(o.unwatched) == 0 && len(o.unresolved) == 0 {
		return
	}
	delete(o.unwatched, attemptOf{t, a})
	for _, u := range o.unresolved {
		delete(u.unanswered, attemptOf{t, a})
	}
	o.resolve()
}

// resolve decides the publishes that are known to be refused.
func (o *Outbox) resolve() {
	for {
		i := slices.IndexFunc(o.unresolved, func(u *unresolved) bool { return len(u.unanswered) == u.count })
		if i < 0 {
			return
		}
		refused := o.unresolved[i]
		o.unresolved = slices.Delete(o.unresolved, i, i+1)
		for _, a := range slices.SortedFunc(maps.Keys(refused.unanswered), attemptOf.compare) {
			if outcome := o.notStored(a.ticket, a.attempt, refused.cause); outcome.Decided() {
				o.decided = append(o.decided, outcome)
			}
		}
	}
}

// unwatch remembers the unanswered attempts of a publish that is decided: errors may be about
// them.
func (o *Outbox) unwatch(p *PendingPublish) {
	if !o.policy.Permissions {
		return
	}
	for _, a := range p.open {
		if a >= p.unchecked {
			if o.unwatched == nil {
				o.unwatched = make(map[attemptOf]string)
			}
			o.unwatched[attemptOf{p.ticket, a}] = p.Message.Subject
			o.checkDue = true // which forgets them
		}
	}
}

// forgetConnection says that errors from now on are about attempts over another connection.
// Those attempts that may have left over it, too, make a check due before anything is sent.
func (o *Outbox) forgetConnection() {
	stray := len(o.unwatched) > 0
	for _, p := range o.pending {
		stray = stray || slices.ContainsFunc(p.open, func(a Attempt) bool { return a >= p.unchecked })
		p.unchecked = p.attempt + 1
	}
	o.errors, o.unwatched, o.unresolved = nil, nil, nil
	o.unsure = o.policy.Permissions && (o.unsure || stray)
	o.checkDue = o.unsure
}
