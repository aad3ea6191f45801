package schedule

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

const ackWait = 5 * time.Second

var (
	start    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	errToday = errors.New("not today")
)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// streaming returns rules of a broker that neither extends an ack wait nor takes an event
// back, jetStream those of one that does both. A failed event is to be tried again a second later for each attempt.
func streaming(concurrency int) Rules {
	return Rules{
		Concurrency: concurrency, MaxInFlight: 16, MaxAttempts: 4, DeadLetters: true,
		Backoff:           func(attempt int) time.Duration { return time.Duration(attempt) * time.Second },
		DeadLetterBackoff: func(int) time.Duration { return time.Second },
		GapBackoff:        func(_ int64, waited int) time.Duration { return time.Duration(waited) * time.Second },
		VersionGapTimeout: time.Minute,
	}
}

func jetStream(concurrency int) Rules {
	r := streaming(concurrency)
	r.CanExtend, r.CanNak = true, true
	return r
}

// arrived returns the task of a delivery that came at a moment.
func arrived(sequence uint64, seconds float64) *Task {
	return NewTask(transport.Delivery{Sequence: sequence, Timestamp: start, Deliveries: 1}, at(seconds))
}

// again makes a task one that the server has delivered so many times.
func again(task *Task, deliveries int) *Task {
	task.Delivery.Deliveries = deliveries
	return task
}

// rejected, retryAfter and unreadable are failures as the listener makes them.
func rejected(err error) Failure { return Failure{Err: err, Reason: events.DeadLetterRejected} }

func retryAfter(d time.Duration, err error) Failure { return Failure{Err: err, After: d, Timed: true} }

func unreadable(err error) *Failure { return &Failure{Err: err, Reason: events.DeadLetterUndecodable} }

func failed(err error) Failure { return Failure{Err: err} }

// keyed returns the task of an event with an ordering key.
func keyed(sequence uint64, seconds float64, key string) *Task {
	task := arrived(sequence, seconds)
	task.Key, task.Keyed = key, true
	return task
}

// arrive delivers tasks in that order.
func arrive(s *Scheduler, tasks ...*Task) {
	for _, task := range tasks {
		s.Deliver(task, task.Received)
	}
}

// runs returns the sequences that begin to run now, once what is due has been woken.
func runs(s *Scheduler, seconds float64) []uint64 {
	s.Wake(at(seconds))
	var sequences []uint64
	for {
		task := s.Next(at(seconds))
		if task == nil {
			return sequences
		}
		sequences = append(sequences, task.Message.Sequence)
	}
}

// runs1 requires that the event of that sequence alone begins to run, and returns it.
func runs1(t *testing.T, s *Scheduler, sequence uint64, seconds float64) *Task {
	t.Helper()
	require.Equal(t, []uint64{sequence}, runs(s, seconds))
	return busy(s, sequence)
}

// busy returns the running task of a sequence.
func busy(s *Scheduler, sequence uint64) *Task {
	for _, task := range s.running {
		if task.Message.Sequence == sequence {
			return task
		}
	}
	return nil
}

// handle does what the listener does when a handler returns nil, without ManualAck.
func handle(s *Scheduler, task *Task, seconds float64) {
	s.Returned(task, at(seconds))
	s.Acknowledged(task, at(seconds))
}

// fail does what the listener does when a handler returns an error.
func fail(s *Scheduler, task *Task, f Failure, seconds float64) {
	s.Returned(task, at(seconds))
	s.Fail(task, f, at(seconds))
}

// decided returns the effects that were asked for, without those that release a replaced
// delivery.
func decided(s *Scheduler) []string {
	names := map[Action]string{AckAgain: "ack", Nak: "nak", Hold: "hold", LetGo: "let go", Drop: "drop", StoreDeadLetter: "dead letter"}
	var all []string
	for _, e := range s.TakeEffects() {
		name := names[e.Do]
		switch {
		case e.Do == Replace:
			continue
		case e.Skip == observe.SkipLate:
			name = "late"
		}
		text := fmt.Sprintf("%s %d", name, e.Task.Message.Sequence)
		if e.Delay > 0 {
			text += fmt.Sprintf(" for %v", e.Delay)
		}
		all = append(all, text)
	}
	return all
}

// requireEmpty requires that no task is left.
func requireEmpty(t *testing.T, s *Scheduler) {
	t.Helper()
	require.Empty(t, s.active)
	require.Zero(t, s.ready.Len())
	require.Empty(t, s.running)
	require.Empty(t, s.keys.byKey)
	require.Empty(t, s.backingOff.tasks)
	require.Empty(t, s.awaitingRedelivery.tasks)
	require.Zero(t, s.resting)
}
