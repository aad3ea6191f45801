package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/transport"
)

// defaultVersionGapTimeout is how long an event waits for the version before it.
const defaultVersionGapTimeout = 10 * time.Minute

// VersionGapTimeout is how long an event waits, with [InVersionOrder], for a version that is
// missing before it. Then it becomes a dead letter with the reason "version-gap"
// (events.DeadLetterVersionGap). Default 10 minutes; must be positive. Without
// InVersionOrder the option matters only for handlers that return [ErrVersionGap] themselves.
//
// The time begins when the event first comes to this listener, and does not pass as long as a
// listener in this process with the same [VersionStore] still reads what may hold the missing
// event: while it handles events that were stored before it began to listen, or before the
// event that waits. So a new service reads a history of any length without giving an event
// up, though one of its subjects is read faster than another. Where the other subject is read
// by another process, or a single event of it takes longer than this time, set more. Each
// process counts for itself, and begins anew when it is started again.
func VersionGapTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option VersionGapTimeout: %v; must be positive", transport.ErrInvalid, d)
		}
		o.versionGapTimeout = d
		return nil
	}
}

// beginReading makes the runner one of the readers of its store of versions, if it has one.
func (r *runner) beginReading() {
	if store := r.core.options.versions; store != nil {
		r.reader = readers.Add(store, r.began)
	}
}

func (r *runner) endReading() {
	if r.reader != nil {
		r.reader.Remove()
	}
}

// doneWith says that the task's event was handled or given up.
func (r *runner) doneWith(t *schedule.Task) {
	if r.reader != nil {
		r.reader.Done(storedAt(t), time.Now())
	}
}

// failure makes a failure of what the handler of a task returned.
func (r *runner) failure(t *schedule.Task, err error) schedule.Failure {
	f := failureOf(err)
	if f.OutOfOrder && r.core.options.versions != nil {
		f.Behind = readers.Behind(r.core.options.versions, storedAt(t))
	}
	return f
}

// storedAt returns when the task's event was stored. The task's delivery may be replaced at any
// time, but not by one of another event.
func storedAt(t *schedule.Task) time.Time { return time.Unix(0, t.Message.Stored) }

// missingBefore returns how many versions are missing before the event that failed with err.
func missingBefore(err error) int64 {
	if gap, ok := errors.AsType[*gapError](err); ok {
		return gap.missing
	}
	return 0
}
