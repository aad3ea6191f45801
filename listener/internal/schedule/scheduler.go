package schedule

import (
	"time"

	"github.com/sgtickets/common/internal/fifo"
	"github.com/sgtickets/common/transport"
)

// Rules are what a [Scheduler] goes by. They do not change.
type Rules struct {
	Concurrency       int                             // how many tasks run at a time
	MaxInFlight       int                             // how many unacknowledged events the broker delivers
	HandlerTimeout    time.Duration                   // 0: none
	MaxAttempts       int                             // the event is given up after that many
	Backoff           func(attempt int) time.Duration // how long an event waits for its next attempt
	LongestBackoff    func(attempt int) time.Duration // the longest that Backoff may draw
	DeadLetterBackoff func(attempt int) time.Duration // how long to wait after a dead letter was not stored

	// GapBackoff is how long an event waits that has waited so often for the versions that are
	// missing before it; after VersionGapTimeout it is given up.
	GapBackoff        func(missing int64, waited int) time.Duration
	VersionGapTimeout time.Duration

	StallTimeout     time.Duration // after what time without a handler's return the listener is stalled; 0: see [Scheduler.StallTimeout]
	StopAtUnreadable int           // after how many events in a row that can't be read the listener has to end; 0: never

	CanExtend   bool // the broker can begin the ack wait of a delivery anew
	CanNak      bool // the broker takes a delivery back and sends it again after a delay
	NoGroup     bool // no queue group: what is not acknowledged comes again to this listener
	DeadLetters bool // an event that is given up becomes a dead letter

	// SuspectAfter: an event that the server has sent again more often than that before it
	// first came here is suspect: it may have ended the processes that ran it. 0: none is.
	SuspectAfter int

	// SuspectAge: an event is not suspect until it is so old. It is for a broker that counts also
	// what members give back as they leave, and sends again what a dead process had only when
	// the ack wait has passed: what is younger than so many ack waits can't have ended so many
	// processes.
	SuspectAge time.Duration

	// AnyOf draws one of n, from 0 to n-1: the suspect task that is next. Where it can't be
	// known which of them ends the process, the others are handled in the end all the same.
	AnyOf func(n int) int

	// SuspectsTurn is for how long one suspect task runs, and no other. If it has not ended the
	// process by then, the next has its turn: a handler that hangs does not hold up the others
	// for ever.
	SuspectsTurn time.Duration
}

// Scheduler decides which events run when, and what becomes of them. Its methods are
// told what happens, and when. The caller runs what [Scheduler.Next] returns, performs
// what [Scheduler.TakeEffects] returns, and calls [Scheduler.Wake] at
// [Scheduler.WakeAt]. A Scheduler is not safe for concurrent use.
type Scheduler struct {
	rules   Rules
	ackWait time.Duration
	effects []Effect

	active             map[MessageKey]*Task // every task that is here, and those awaiting redelivery that hold up a key
	ready              fifo.Queue[*Task]    // may run, in order
	running            []*Task
	resting            int // tasks that no worker could begin: they wait for their key, their time or their dead letter
	keys               keyQueues
	backingOff         dueQueue
	awaitingRedelivery dueQueue
	attempts           attemptHistories
	acknowledged       recentlyAcknowledged
	stuck              stuckEvents
	progress           handlerProgress
	unreadable         unreadableRow
	suspects           suspects
	draining           bool
}

// New returns a Scheduler without tasks.
func New(r Rules, ackWait time.Duration) *Scheduler {
	return &Scheduler{
		rules: r, ackWait: ackWait,
		acknowledged: newRecentlyAcknowledged(r.MaxInFlight),
		active:       make(map[MessageKey]*Task),
	}
}

// Rules returns the rules.
func (s *Scheduler) Rules() Rules { return s.rules }

// AckWait returns the ack wait that the broker applies.
func (s *Scheduler) AckWait() time.Duration { return s.ackWait }

// SetAckWait tells which ack wait the broker applies. The broker may know the durable
// with another one than the listener asked for.
func (s *Scheduler) SetAckWait(d time.Duration) { s.ackWait = d }

// Running returns how many tasks run.
func (s *Scheduler) Running() int { return len(s.running) }

// Ready returns how many tasks a worker could take now: those that may run and have not
// begun, and a suspect one, for which [Scheduler.Next] may have to ask for a mark first.
func (s *Scheduler) Ready() int { return s.ready.Len() + s.suspects.ready() }

// Resting returns how many tasks are here that no worker could begin.
func (s *Scheduler) Resting() int { return s.resting }

// KnownAttempts returns how many runs of an event are known that is not done with.
func (s *Scheduler) KnownAttempts(key MessageKey) int { return s.attempts.of(key).attempt }

// LatestSettler returns what settles the task's event: that of its latest delivery. An
// event that was given up and came again is settled through the task that has it now.
func (s *Scheduler) LatestSettler(t *Task) transport.Settler {
	if t.state == removed {
		if here := s.active[t.Message]; here != nil {
			t = here
		}
	}
	return t.Delivery.Settler
}

// Unfinished returns the sequences of the events that a drain leaves behind: those whose
// handlers run, those that a handler with ManualAck has not settled, and those whose
// dead letters are not stored.
func (s *Scheduler) Unfinished() (running, open, notStored []uint64) {
	running = make([]uint64, 0, len(s.running))
	for _, t := range s.running {
		running = append(running, t.Message.Sequence)
	}
	for _, t := range s.active {
		switch t.state { //nolint:exhaustive // tasks in the other states come again
		case unsettled:
			open = append(open, t.Message.Sequence)
		case deadLettering:
			notStored = append(notStored, t.Message.Sequence)
		}
	}
	return running, open, notStored
}

// setState notes where a task stands.
func (s *Scheduler) setState(t *Task, to state) {
	if rests(t.state) {
		s.resting--
	}
	if rests(to) {
		s.resting++
	}
	from := t.state
	t.state = to
	if (t == s.suspects.current || t.markStored) && !hasSuspectsTurn(to) {
		s.endSuspectsTurn(t, from)
	}
}

func rests(s state) bool {
	return s == waiting || s == suspected || s == marking || s == backingOff || s == deadLettering
}

// idle reports whether a task is here, its handler does not run and has not run without
// being settled, and its dead letter is not being stored.
func idle(s state) bool {
	return s == waiting || s == suspected || s == marking || s == marked || s == ready || s == backingOff
}
