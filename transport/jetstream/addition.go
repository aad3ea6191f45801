package jetstream

import (
	"slices"
	"time"

	"github.com/sgtickets/common/internal/backoff"
)

const (
	// maxUpdates is how often an addition updates the stream. After so many somebody takes the
	// subjects out again each time.
	maxUpdates = 20
	// pauseFactor is how many times as long as the update took the pause after it lasts at least. An
	// update that others make at the same time takes them about as long.
	pauseFactor = 4
)

// pauses spaces out the looks after an update.
var pauses = backoff.Policy{First: 200 * time.Millisecond, Max: 2 * time.Second}

// addition decides how a client adds subjects to a stream to which other clients add theirs
// at the same time. An update replaces the list of subjects, and JetStream has none that fails
// because somebody else was faster. So if two clients have read the same list, the later
// update undoes the earlier one. The earlier client finds that out by looking again after a
// pause in which the other has surely updated. While the list still changes, others are at
// work, and it looks once more.
type addition struct {
	names   []string
	list    []string // as it was last seen since the first update; nil: there was no update yet
	updates int
}

// step is what to do next in an addition.
type step int

const (
	// stepDone: the stream has the subjects.
	stepDone step = iota
	// stepUpdate: update the stream, call updated, and look again after a pause.
	stepUpdate
	// stepWait: look again after a pause.
	stepWait
	// stepGiveUp: somebody takes the subjects out again each time.
	stepGiveUp
)

// look takes in the stream's list of subjects as it is now.
func (a *addition) look(list []string) step {
	switch {
	case len(lacking(list, a.names)) > 0 && a.updates == maxUpdates:
		return stepGiveUp
	case len(lacking(list, a.names)) > 0:
		a.updates++
		return stepUpdate
	case a.updates == 0, slices.Equal(a.list, list):
		return stepDone
	default:
		a.list = list
		return stepWait
	}
}

// updated takes in the list that the stream has after the update.
func (a *addition) updated(list []string) { a.list = list }

// pause returns how long to wait before the next look. took is how long the last update took,
// from reading the list on, and chance is at least 0 and less than 1.
func (a *addition) pause(took time.Duration, chance float64) time.Duration {
	longest := max(pauses.Full(a.updates), 2*pauseFactor*took)
	return longest/2 + time.Duration(chance*float64(longest/2))
}
