package backoff

import "time"

// Reminder says when to log again that something goes on: at once, and then at intervals that
// grow, the first and the longest of which the policy has. It is not safe for concurrent use.
type Reminder struct {
	Intervals Policy

	what string
	said int // how often, of what
	next time.Time
}

// Due tells whether to log now that what goes on. It is due at once when another thing goes
// on than before.
func (r *Reminder) Due(now time.Time, what string) bool {
	if r.said > 0 && what == r.what && now.Before(r.next) {
		return false
	}
	if what != r.what {
		r.what, r.said = what, 0
	}
	r.said++
	r.next = now.Add(r.Intervals.Full(r.said))
	return true
}

// Next returns when it is due to log again that the same thing goes on; zero if nothing was
// logged.
func (r *Reminder) Next() time.Time { return r.next }
