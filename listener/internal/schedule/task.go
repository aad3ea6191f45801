package schedule

import (
	"time"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

// Task is one event that was delivered and is not done with yet. The exported fields are
// the listener's to read. It sets Event, Key, Keyed and Failed before it calls
// [Scheduler.Deliver], and Event also while the task runs.
type Task struct {
	Message  MessageKey
	Delivery transport.Delivery // the latest one of the event; changes while the task is here
	Received time.Time          // when that came, or its ack wait was last begun anew
	Event    any                // decoded, where the ordering key needs it; else nil
	Key      string             // the ordering key
	Keyed    bool               // the event has an ordering key
	Failed   *Failure           // why the task can't run, or, with ManualAck, what was decided while its handler runs
	Attempt  int                // how often a handler of this listener ran on the event; that goes on counts, too
	Begun    time.Time          // when the last run began
	GiveUp   *GiveUp            // the event is to become a dead letter

	// Told is the listener's: it is closed once observers were told of the failure before.
	Told chan struct{}

	id         EventID
	state      state
	outOfOrder bool      // backs off outside the queue of its key, and joins that again when it is due
	yields     bool      // it was out of order, and takes nobody's turn now that it is back in its queue
	settled    bool      // nothing is left to be decided, but its handler may still run
	runIndex   int       // in Scheduler.running
	due        time.Time // backing off: until then; awaiting redelivery: its key is held up until then
	storeTries int       // how often its dead letter could not be stored
	sameID     []*Task   // tasks with the same event ID, which wait until this one has run
	warned     warnings
	arrived    time.Time         // when the first delivery of it came that has not been let go since
	hung       *backoff.Reminder // of the run that goes on: when to say again that it does not return; nil: that was not said

	suspect      bool      // it may have ended processes; until its first run here is over
	suspectSince time.Time // when it could have run, but for that
	undecided    bool      // it was asked before whether it may run, and that was not known
	markStored   bool      // others know that this process runs it, or is about to
}

// NewTask returns a task for a delivery.
func NewTask(d transport.Delivery, received time.Time) *Task {
	return &Task{Message: KeyOf(d), id: eventIDOf(&d), Delivery: d, Received: received, arrived: received}
}

// ForgetEventID makes the task one whose event has no ID of its own: it is told from
// others by its message alone, and runs though the same event was stored before.
func (t *Task) ForgetEventID() { t.id = EventID{} }

// state is where a task stands.
type state uint8

const (
	arriving           state = iota
	waiting                  // for a task of its key, or for one with the same event ID
	suspected                // for its turn among the suspects
	marking                  // a suspect: its mark is being stored
	marked                   // a suspect: may run, once no other task is ready
	ready                    // may run
	running                  // its handler runs
	unsettled                // with ManualAck: its handler has returned and has not settled the event
	backingOff               // until its next attempt is due
	deadLettering            // its dead letter is being stored
	awaitingRedelivery       // not here any more; it holds up its key until its event comes again
	removed                  // the scheduler has forgotten it
)
