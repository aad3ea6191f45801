// Package versions decides what becomes of an event of version n of an entity of which
// version m was applied last, and lets one event at a time be handled of each entity.
package versions

import (
	"time"

	"github.com/sgtickets/common/internal/backoff"
)

// None is the version of an entity of which no event was applied.
const None int64 = -1

// Decision is what becomes of an event.
type Decision uint8

// What becomes of an event.
const (
	// Apply: it is the next one of its entity.
	Apply Decision = iota
	// Skip: its version or a later one was applied before.
	Skip
	// Wait: versions are missing before it.
	Wait
)

// Decide returns what becomes of an event of a version when the version last was applied
// last, and how many versions are missing before it. begins: the event begins its
// entity.
func Decide(version, last int64, begins bool) (d Decision, missing int64) {
	switch {
	case last == None && begins, last != None && version == last+1:
		return Apply, 0
	case last == None:
		return Wait, version
	case version <= last:
		return Skip, 0
	default:
		return Wait, version - last - 1
	}
}

// gapBackoff is how long an event waits that is ahead, by how often it has waited; gapStep how much
// longer for each version that is missing before it, up to gapSteps of them: so those
// that wait are tried in the order of their versions.
var gapBackoff = backoff.Policy{First: 100 * time.Millisecond, Max: 5 * time.Second}

const (
	gapStep  = 5 * time.Millisecond
	gapSteps = 200
)

// RetryAfter returns after what time an event is tried again before which so many
// versions are missing, and which has waited so often for them, this time included.
func RetryAfter(missing int64, waited int) time.Duration {
	return gapBackoff.Full(waited) + time.Duration(min(missing, gapSteps))*gapStep
}
