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

// streaming are the rules where nothing can be kept or given back, JetStream's where
// both can. A failed event is to be tried again a second later for each attempt.
func streaming(concurrency int) Rules {
	return Rules{
		Concurrency: concurrency, MaxInFlight: 16, MaxAttempts: 4, DeadLetters: true,
		Backoff:           func(attempt int) time.Duration { return time.Duration(attempt) * time.Second },
		DeadLetterBackoff: func(int) time.Duration { return time.Second },
	}
}

func jetStream(concurrency int) Rules {
	r := streaming(concurrency)
	r.CanExtend, r.CanNak = true, true
	return r
}

// arrived is the delivery of an event at a moment.
func arrived(sequence uint64, seconds float64) *Task {
	return NewTask(transport.Delivery{Sequence: sequence, Timestamp: start, Deliveries: 1}, at(seconds))
}

// again is one that the server has delivered so many times.
func again(w *Task, deliveries int) *Task {
	w.Delivery.Deliveries = deliveries
	return w
}

// rejected, retryAfter and unreadable are failures as the listener makes them.
func rejected(err error) Failure { return Failure{Err: err, Reason: events.DeadLetterRejected} }

func retryAfter(d time.Duration, err error) Failure { return Failure{Err: err, After: d, Timed: true} }

func unreadable(err error) *Failure { return &Failure{Err: err, Reason: events.DeadLetterUndecodable} }

func failed(err error) Failure { return Failure{Err: err} }

func keyed(sequence uint64, seconds float64, key string) *Task {
	w := arrived(sequence, seconds)
	w.Key, w.Keyed = key, true
	return w
}

func arrive(b *Scheduler, works ...*Task) {
	for _, w := range works {
		b.Deliver(w, w.Received)
	}
}

// runs returns the sequences that begin to run now, once what is due has been woken.
func runs(b *Scheduler, seconds float64) []uint64 {
	b.Wake(at(seconds))
	var sequences []uint64
	for {
		w := b.Next(at(seconds))
		if w == nil {
			return sequences
		}
		sequences = append(sequences, w.Message.Sequence)
	}
}

func runs1(t *testing.T, b *Scheduler, sequence uint64, seconds float64) *Task {
	t.Helper()
	require.Equal(t, []uint64{sequence}, runs(b, seconds))
	return busy(b, sequence)
}

func busy(b *Scheduler, sequence uint64) *Task {
	for _, w := range b.running {
		if w.Message.Sequence == sequence {
			return w
		}
	}
	return nil
}

// handle is what happens when a handler returns nil, without ManualAck.
func handle(b *Scheduler, w *Task, seconds float64) {
	b.Returned(w, at(seconds))
	b.Acknowledged(w, at(seconds))
}

// fail is what happens when it returns an error.
func fail(b *Scheduler, w *Task, f Failure, seconds float64) {
	b.Returned(w, at(seconds))
	b.Fail(w, f, at(seconds))
}

// decided returns what is to be done by now, and forgets it. That a delivery was
// replaced is not among it.
func decided(b *Scheduler) []string {
	names := map[Action]string{AckAgain: "ack", Nak: "nak", Hold: "hold", LetGo: "let go", Drop: "drop", StoreDeadLetter: "dead letter"}
	var all []string
	for _, e := range b.TakeEffects() {
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

// requireEmpty: nothing is left of anything.
func requireEmpty(t *testing.T, b *Scheduler) {
	t.Helper()
	require.Empty(t, b.active)
	require.Zero(t, b.ready.Len())
	require.Empty(t, b.running)
	require.Empty(t, b.keys.byKey)
	require.Empty(t, b.backingOff.tasks)
	require.Empty(t, b.awaitingRedelivery.tasks)
	require.Zero(t, b.resting)
}

func TestSchedulerRunsInOrderAsManyAsMay(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0), arrived(3, 0), arrived(4, 0))
	require.Equal(t, []uint64{1, 2}, runs(b, 0))
	handle(b, busy(b, 2), 0)
	require.Equal(t, []uint64{3}, runs(b, 0))
	handle(b, busy(b, 1), 0)
	handle(b, busy(b, 3), 0)
	handle(b, runs1(t, b, 4, 0), 0)
	requireEmpty(t, b)
	require.Empty(t, b.attempts.known)
	require.Empty(t, decided(b))
}

func TestSchedulerDropsWhatIsLate(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 1))
	two := runs1(t, b, 2, 5)
	require.Equal(t, []string{"late 1"}, decided(b))

	arrive(b, again(arrived(1, 6), 2)) // it comes again, and is taken in again
	handle(b, two, 6)
	require.Equal(t, 1, runs1(t, b, 1, 6).Attempt, "nobody ran it before")
}

func TestSchedulerTakesARedeliveryOnce(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0))
	one := runs1(t, b, 1, 0)
	arrive(b, again(arrived(1, 5), 2)) // 1 runs: it must not be started twice, and is acknowledged through this one
	arrive(b, again(arrived(2, 5), 2)) // 2 waits: it counts from now
	require.Equal(t, 2, one.Delivery.Deliveries)
	handle(b, one, 9)
	two := runs1(t, b, 2, 9)
	require.Equal(t, 1, two.Attempt, "its first delivery was never run")
	handle(b, two, 9)
	require.Empty(t, runs(b, 9))
	requireEmpty(t, b)
}

// TestSchedulerHoldsWhatFailed as long as the ack wait lasts; then the redelivery is the
// next attempt.
func TestSchedulerHoldsWhatFailed(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0))
	fail(b, runs1(t, b, 1, 0), failed(errToday), 0)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(b))
	require.Equal(t, at(1), b.WakeAt())
	handle(b, runs1(t, b, 2, 0), 0.5) // others go on
	require.Empty(t, runs(b, 0.9))
	one := runs1(t, b, 1, 1)
	require.Equal(t, 2, one.Attempt)
	fail(b, one, failed(errToday), 1)
	require.Equal(t, []string{"hold 1 for 2s"}, decided(b))
	fail(b, runs1(t, b, 1, 3), failed(errToday), 3)
	require.Equal(t, []string{"let go 1 for 3s"}, decided(b))
	requireEmpty(t, b)

	arrive(b, again(arrived(1, 5), 2))
	one = runs1(t, b, 1, 5)
	require.Equal(t, 4, one.Attempt, "three here, though the server has counted two deliveries")
	fail(b, one, failed(errToday), 5)
	require.Equal(t, []string{"dead letter 1"}, decided(b))
	require.Equal(t, GiveUp{events.DeadLetterExhausted, errToday, 4, at(5)}, *one.GiveUp)
	b.DeadLetterStored(one, at(6))
	arrive(b, again(arrived(1, 7), 3))
	require.Equal(t, []string{"ack 1"}, decided(b))
	requireEmpty(t, b)
}

// TestSchedulerLeavesTimeForTheHandler: an attempt that could not be over within the ack
// wait is not made here.
func TestSchedulerLeavesTimeForTheHandler(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.HandlerTimeout = 3 * time.Second
	b := New(r, ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), failed(errToday), 0.5)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(b), "at 1.5 s, until 4.5 s")
	arrive(b, arrived(2, 0))
	fail(b, runs1(t, b, 2, 0), failed(errToday), 0.6)
	require.Equal(t, []string{"let go 2 for 1s"}, decided(b))
}

func TestSchedulerGivesBack(t *testing.T) {
	t.Parallel()
	b := New(jetStream(1), ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), failed(errToday), 0)
	require.Equal(t, []string{"nak 1 for 1s"}, decided(b))
	requireEmpty(t, b)
	arrive(b, again(arrived(1, 1), 2))
	one := runs1(t, b, 1, 1)
	require.Equal(t, 2, one.Attempt)
	fail(b, one, retryAfter(time.Hour, errToday), 1)
	require.Equal(t, []string{"nak 1 for 1h0m0s"}, decided(b))
	arrive(b, again(arrived(1, 3601), 3))
	fail(b, runs1(t, b, 1, 3601), rejected(errToday), 3601)
	require.Equal(t, []string{"dead letter 1"}, decided(b))
}

// TestSchedulerRetryAfter: deliveries before it is due are not run, and not counted.
func TestSchedulerRetryAfter(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), retryAfter(12*time.Second, errToday), 0)
	require.Equal(t, []string{"let go 1 for 12s"}, decided(b))
	arrive(b, again(arrived(1, 5), 2))
	require.Empty(t, runs(b, 5))
	require.Equal(t, []string{"let go 1 for 7s"}, decided(b))
	arrive(b, again(arrived(1, 10), 3))
	require.Equal(t, []string{"hold 1 for 2s"}, decided(b))
	require.Empty(t, runs(b, 11))
	require.Equal(t, 2, runs1(t, b, 1, 12).Attempt)
}

// TestSchedulerCondemns what can't be read, at once; and what could not be buried is not
// run again, when it comes again.
func TestSchedulerCondemns(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	unread := arrived(1, 0)
	unread.Failed = unreadable(errToday)
	arrive(b, unread)
	require.Equal(t, []string{"dead letter 1"}, decided(b))
	require.Equal(t, events.DeadLetterUndecodable, unread.GiveUp.Reason)
	arrive(b, again(arrived(1, 2), 2))
	require.Empty(t, decided(b), "it is on its way")
	b.DeadLetterNotStored(unread, at(3))
	require.Len(t, decided(b), 1)
	require.Empty(t, runs(b, 3.1))
	require.Empty(t, runs(b, 4))
	require.Equal(t, []string{"dead letter 1"}, decided(b))
	b.DeadLetterNotStored(unread, at(7))
	require.Contains(t, decided(b)[0], "let go 1")
	requireEmpty(t, b)

	arrive(b, again(arrived(1, 10), 3))
	require.Equal(t, []string{"dead letter 1"}, decided(b))
	require.Empty(t, runs(b, 10))
}

// TestSchedulerWithoutDeadLetters goes on, once an ack wait, and counts.
func TestSchedulerWithoutDeadLetters(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"nak 1 for 5s": jetStream(1), "let go 1 for 5s": streaming(1)} {
		r.DeadLetters = false
		b := New(r, ackWait)
		for n := range 3 {
			arrive(b, again(arrived(1, float64(5*n)), n+1))
			fail(b, runs1(t, b, 1, float64(5*n)), rejected(errToday), float64(5*n))
			require.Equal(t, []string{name}, decided(b))
			require.Equal(t, 1, b.stuck.count(at(float64(5*n))))
		}
		require.Zero(t, b.stuck.count(at(21)), "another member has it")
		arrive(b, again(arrived(1, 25), 4))
		handle(b, runs1(t, b, 1, 25), 25)
		require.Zero(t, b.stuck.count(at(25)))
	}
}

// TestSchedulerKeepsTheOrderOfAKey: what fails holds up its key, and no other.
func TestSchedulerKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"jetstream": jetStream(3), "streaming": streaming(3)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := New(r, ackWait)
			arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "a"))
			require.Equal(t, []uint64{1, 3}, runs(b, 0), "2 and 4 wait for 1")
			handle(b, busy(b, 3), 0)
			require.Empty(t, runs(b, 0))
			fail(b, busy(b, 1), failed(errToday), 0)
			require.Equal(t, []string{"hold 1 for 1s"}, decided(b))
			require.Empty(t, runs(b, 0.5))
			one := runs1(t, b, 1, 1)
			fail(b, one, rejected(errToday), 1)
			require.Equal(t, []string{"dead letter 1"}, decided(b))
			require.Empty(t, runs(b, 1))
			b.DeadLetterStored(one, at(1))
			handle(b, runs1(t, b, 2, 1), 1)
			handle(b, runs1(t, b, 4, 1), 1)
			requireEmpty(t, b)
		})
	}
}

// TestSchedulerKeyWaitsForWhatIsGone until it comes again, or another member must have
// it; those behind it that become late come again in order.
func TestSchedulerKeyWaitsForWhatIsGone(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 1, "a"), keyed(3, 3, "a"))
	fail(b, runs1(t, b, 1, 0), retryAfter(5*time.Second, errToday), 0)
	require.Equal(t, []string{"let go 1 for 5s"}, decided(b))
	require.Empty(t, runs(b, 4.9))
	arrive(b, again(keyed(1, 5, "a"), 2))
	one := runs1(t, b, 1, 5)
	handle(b, one, 6)
	require.Empty(t, runs(b, 6), "2 is late")
	require.Equal(t, []string{"late 2"}, decided(b))
	require.Empty(t, runs(b, 6.5), "3 must not overtake it")
	arrive(b, again(keyed(2, 6.6, "a"), 2))
	handle(b, runs1(t, b, 2, 6.6), 6.7)
	handle(b, runs1(t, b, 3, 6.8), 7)
	requireEmpty(t, b)

	arrive(b, keyed(4, 10, "a"), keyed(5, 12, "a"))
	fail(b, runs1(t, b, 4, 10), retryAfter(time.Minute, errToday), 10)
	require.Equal(t, at(20), b.WakeAt(), "two ack waits")
	arrive(b, again(keyed(5, 17, "a"), 2))
	require.Empty(t, runs(b, 19.9))
	handle(b, runs1(t, b, 5, 20), 20)
	requireEmpty(t, b)

	r := streaming(2)
	r.NoGroup = true
	b = New(r, ackWait)
	arrive(b, keyed(1, 0, "a"))
	fail(b, runs1(t, b, 1, 0), retryAfter(time.Minute, errToday), 0)
	require.Equal(t, at(60), b.WakeAt(), "nobody else can have it")
}

// TestSchedulerTakesALowerOneIn: one that another member had comes before those that
// wait, but not before the one that runs.
func TestSchedulerTakesALowerOneIn(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(5, 0, "a"), keyed(6, 0, "a"))
	five := runs1(t, b, 5, 0)
	arrive(b, again(keyed(3, 1, "a"), 2))
	require.Empty(t, runs(b, 1))
	handle(b, five, 1)
	arrive(b, again(keyed(2, 1, "a"), 2)) // 3 has not begun
	handle(b, runs1(t, b, 2, 1), 1)
	fail(b, runs1(t, b, 3, 1), failed(errToday), 1)
	arrive(b, again(keyed(1, 1, "a"), 2))
	handle(b, runs1(t, b, 1, 1), 1)
	require.Empty(t, runs(b, 2.9))
	handle(b, runs1(t, b, 3, 3), 3)
	handle(b, runs1(t, b, 6, 3), 3)
	requireEmpty(t, b)
}

// TestSchedulerHoldsTheKey until its event is settled and its handler has returned,
// whichever comes last; an attempt that failed waits for its handler, too.
func TestSchedulerHoldsTheKey(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "a"))
	one := runs1(t, b, 1, 0)
	b.Returned(one, at(0))
	require.Empty(t, runs(b, 0), "1 is not settled")
	b.Acknowledged(one, at(0))
	two := runs1(t, b, 2, 0)
	b.Acknowledged(two, at(0))
	require.Empty(t, runs(b, 0), "the handler of 2 still runs")
	b.Returned(two, at(0))
	three := runs1(t, b, 3, 0)
	b.Fail(three, failed(errToday), at(0))
	require.Empty(t, decided(b), "the handler of 3 still runs")
	b.Returned(three, at(1))
	require.Equal(t, []string{"hold 3 for 1s"}, decided(b))
	handle(b, runs1(t, b, 3, 2), 2)
	requireEmpty(t, b)
}

// TestSchedulerLateAck: what was given up and is acknowledged all the same is not tried
// again.
func TestSchedulerLateAck(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	for name, prepare := range map[string]func(w *Task){
		"held":      func(*Task) {},
		"ready":     func(*Task) { b.Wake(at(100)) },
		"let go":    func(w *Task) { b.awaitRedelivery(w, at(100)); b.backingOff = dueQueue{} },
		"came back": func(w *Task) { b.remove(w, at(1)); arrive(b, again(arrived(w.Message.Sequence, 1), 2)) },
	} {
		w := arrived(uint64(len(name)), 0)
		arrive(b, w)
		require.Equal(t, w, b.Next(at(0)))
		fail(b, w, failed(errToday), 0)
		prepare(w)
		b.AcknowledgedLate(w, at(1))
		require.Empty(t, runs(b, 2), name)
		decided(b)
		arrive(b, again(arrived(w.Message.Sequence, 5), 2))
		require.Equal(t, []string{fmt.Sprintf("ack %d", len(name))}, decided(b), name)
		requireEmpty(t, b)
	}
}

// TestSchedulerAcknowledgesAgain what comes again although it was acknowledged, and
// does not run it.
func TestSchedulerAcknowledgesAgain(t *testing.T) {
	t.Parallel()
	b := New(streaming(1), ackWait)
	arrive(b, arrived(1, 0))
	one := runs1(t, b, 1, 0)
	arrive(b, arrived(1, 0)) // it runs
	b.Returned(one, at(0))
	arrive(b, arrived(1, 0)) // it is not settled: with ManualAck
	require.Empty(t, runs(b, 0))
	require.Empty(t, decided(b))
	b.Acknowledged(one, at(0))
	arrive(b, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(b))
	b.Drain(at(0))
	arrive(b, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(b), "also while it drains")
	require.Empty(t, runs(b, 0))
}

// named is the delivery of an event that has an ID of its own.
func named(sequence uint64, id string) *Task {
	w := arrived(sequence, 0)
	w.id = eventIDOf(transport.Header{"ce-id": {id}, "ce-source": {"/ticketing/tickets"}})
	return w
}

// TestSchedulerKnowsEventsByName: one that is stored twice is handled once, also while
// the first runs; unless that fails, or became a dead letter, which may be put back.
func TestSchedulerKnowsEventsByName(t *testing.T) {
	t.Parallel()
	b := New(streaming(4), ackWait)
	arrive(b, named(1, "a"), named(2, "a"), named(3, "b"))
	require.Equal(t, []uint64{1, 3}, runs(b, 0))
	handle(b, busy(b, 1), 0)
	require.Empty(t, runs(b, 0))
	require.Equal(t, []string{"ack 2"}, decided(b))

	arrive(b, named(4, "b"))
	fail(b, busy(b, 3), rejected(errToday), 0)
	b.DeadLetterStored(b.effects[0].Task, at(0))
	decided(b)
	handle(b, runs1(t, b, 4, 0), 0)
	arrive(b, named(5, "b"))
	require.Empty(t, runs(b, 0))
	require.Equal(t, []string{"ack 5"}, decided(b))
	requireEmpty(t, b)
	require.NotEqual(t, named(1, "a").id, named(1, "b").id)
	require.Equal(t, EventID{}, eventIDOf(transport.Header{"Nats-Msg-Id": {"a"}}))
}

func TestDoneIsBounded(t *testing.T) {
	t.Parallel()
	const n, size = 50_000, 16_384
	d := newRecentlyAcknowledged(16)
	for n := range uint64(n) {
		d.add(MessageKey{Sequence: n}, EventID{n + 1})
		d.add(MessageKey{Sequence: n}, EventID{n + 1})
		require.LessOrEqual(t, len(d.young.keys)+len(d.old.keys), 2*size)
		require.LessOrEqual(t, len(d.young.ids)+len(d.old.ids), 2*size)
		require.True(t, d.has(MessageKey{Sequence: n}))
		require.True(t, d.hasID(EventID{n + 1}))
	}
	require.True(t, d.has(MessageKey{Sequence: n - size}))
	require.True(t, d.hasID(EventID{n - size}))
	require.False(t, d.has(MessageKey{Sequence: n - 2*size - 1}), "the oldest is forgotten first")
	require.False(t, d.hasID(EventID{n - 2*size}))
	d.add(MessageKey{Sequence: 1, Stored: 1}, EventID{})
	require.True(t, d.has(MessageKey{Sequence: 1, Stored: 1}), "sequences begin anew where a store was lost")
	require.False(t, d.has(MessageKey{Sequence: 2, Stored: 1}))
	d.add(MessageKey{Sequence: 1}, EventID{}) // of the lost store, handled late
	require.True(t, d.has(MessageKey{Sequence: 1, Stored: 1}))
	require.Equal(t, 2*size, newRecentlyAcknowledged(size).size)
}

// TestGoneComesBackUnreadable: an event whose line waits for it can't be read when it comes again,
// as one that is valid for a time only. The line goes on.
func TestGoneComesBackUnreadable(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"))
	fail(b, runs1(t, b, 1, 0), retryAfter(4900*time.Millisecond, errToday), 0.1) // which does not fit: it comes again
	decided(b)
	w := arrived(1, 5)
	w.Failed = unreadable(errToday)
	arrive(b, w, keyed(2, 5, "a"))
	require.Equal(t, []uint64{2}, runs(b, 5))
	b.DeadLetterStored(w, at(5.1))
	handle(b, busy(b, 2), 5.2)
	require.Empty(t, b.keys.byKey)
}

// TestLineUsedAgain: a line that is used for another key holds nothing of the one before.
func TestLineUsedAgain(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"))
	one := runs1(t, b, 1, 0)
	b.Acknowledged(one, at(0)) // with ManualAck: its handler goes on
	for i := range 2*b.acknowledged.size + 1 {
		b.acknowledged.add(MessageKey{uint64(10 + i), 5}, EventID{})
	}
	arrive(b, keyed(1, 60, "a")) // its acknowledgement was lost, and forgotten here
	b.Interrupt(at(61))
	b.Wake(at(121))
	b.Returned(one, at(122))
	arrive(b, keyed(70_000, 123, "b"))
	require.Equal(t, []uint64{70_000}, runs(b, 123))
}

// TestDoneIsLookedUp: what was never asked for is there all the same.
func TestDoneIsLookedUp(t *testing.T) {
	t.Parallel()
	const n = 40_000
	d := newRecentlyAcknowledged(16)
	for n := range uint64(n) {
		d.add(MessageKey{Sequence: n}, EventID{})
	}
	for sequence := uint64(n); sequence > n-16_384; sequence-- {
		require.True(t, d.has(MessageKey{Sequence: sequence - 1}))
		require.False(t, d.has(MessageKey{Sequence: sequence - 1, Stored: 1}))
	}
	require.False(t, d.has(MessageKey{Sequence: n}))
	require.False(t, d.has(MessageKey{Sequence: 0}), "it is forgotten")
}

// TestSchedulerIdentity: after a server lost its store, a sequence is another event.
func TestSchedulerIdentity(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, arrived(1, 0), NewTask(transport.Delivery{Sequence: 1, Timestamp: start.Add(time.Hour)}, at(0)))
	require.Equal(t, []uint64{1, 1}, runs(b, 0))
}

func TestSchedulerCountsAttempts(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.MaxAttempts = 100
	r.Backoff = func(int) time.Duration { return time.Hour }
	b := New(r, ackWait)
	for attempt := 1; attempt <= 3; attempt++ { // the server counts 1 each time, as after a restart
		arrive(b, arrived(1, float64(attempt)))
		w := runs1(t, b, 1, float64(attempt))
		require.Equal(t, attempt, w.Attempt)
		fail(b, w, failed(errToday), float64(attempt))
	}
	arrive(b, again(arrived(1, 4), 9)) // it was at another member meanwhile
	w := runs1(t, b, 1, 4)
	require.Equal(t, 9, w.Attempt)
	handle(b, w, 4)
	require.Empty(t, b.attempts.known)
}

func TestPastsAreBounded(t *testing.T) {
	t.Parallel()
	var p attemptHistories
	for n := range uint64(10 * maxAttemptHistories) {
		p.set(MessageKey{Sequence: n}, attemptHistory{attempt: 1})
		require.LessOrEqual(t, len(p.order), 2*maxAttemptHistories)
		require.LessOrEqual(t, len(p.known), 2*maxAttemptHistories)
		if n%3 == 0 {
			p.forget(MessageKey{Sequence: n})
		}
	}
	require.Equal(t, 1, p.of(MessageKey{Sequence: 10*maxAttemptHistories - 2}).attempt, "the newest are remembered")
}

// TestSchedulerInterrupt drops what does not run, and lets none of a key overtake what
// was dropped.
func TestSchedulerInterrupt(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "b"), arrived(5, 0))
	require.Equal(t, []uint64{1, 3}, runs(b, 0))
	fail(b, busy(b, 3), failed(errToday), 0)
	decided(b)
	b.Interrupt(at(0))
	require.Equal(t, []string{"drop 2", "drop 3", "drop 4", "drop 5"}, decided(b))
	arrive(b, keyed(6, 1, "a"), keyed(7, 1, "b"))
	require.Empty(t, runs(b, 1))
	handle(b, busy(b, 1), 1)
	require.Empty(t, runs(b, 1), "6 must not overtake 2, nor 7 3")
	arrive(b, again(keyed(2, 1, "a"), 2), again(keyed(3, 1, "b"), 2), again(keyed(4, 1, "b"), 2))
	require.Equal(t, []uint64{2, 3}, runs(b, 1))
	require.Equal(t, 1, busy(b, 2).Attempt)
	require.Equal(t, 2, busy(b, 3).Attempt)
}

func TestSchedulerDrain(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"nak": jetStream(1), "drop": streaming(1)} {
		b := New(r, ackWait)
		arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"))
		one := runs1(t, b, 1, 0)
		b.Drain(at(0))
		require.Equal(t, []string{name + " 2", name + " 3"}, decided(b))
		arrive(b, arrived(4, 0))
		require.Equal(t, []string{"drop 4"}, decided(b))
		require.Empty(t, runs(b, 0))
		fail(b, one, failed(errToday), 0)
		require.Len(t, decided(b), 1, "it is not held")
		require.Empty(t, runs(b, 9))
		requireEmpty(t, b)
	}
}
