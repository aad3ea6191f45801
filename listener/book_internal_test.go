package listener

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
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
func streaming(concurrency int) rules {
	return rules{
		concurrency: concurrency, maxInFlight: 16, attempts: 4, letters: true,
		backoff: func(attempt int) time.Duration { return time.Duration(attempt) * time.Second },
		burial:  func(int) time.Duration { return time.Second },
	}
}

func jetStream(concurrency int) rules {
	r := streaming(concurrency)
	r.keeps, r.gives = true, true
	return r
}

// arrived is the delivery of an event at a moment.
func arrived(sequence uint64, seconds float64) *work {
	return newWork(transport.Delivery{Sequence: sequence, Timestamp: start, Deliveries: 1}, at(seconds))
}

// again is one that the server has delivered so many times.
func again(w *work, deliveries int) *work {
	w.delivery.Deliveries = deliveries
	return w
}

func keyed(sequence uint64, seconds float64, key string) *work {
	w := arrived(sequence, seconds)
	w.key, w.keyed = key, true
	return w
}

func arrive(b *book, works ...*work) {
	for _, w := range works {
		b.arrive(w, w.received)
	}
}

// runs returns the sequences that begin to run now, once what is due has been woken.
func runs(b *book, seconds float64) []uint64 {
	b.wake(at(seconds))
	var sequences []uint64
	for {
		w := b.next(at(seconds))
		if w == nil {
			return sequences
		}
		sequences = append(sequences, w.id.sequence)
	}
}

func runs1(t *testing.T, b *book, sequence uint64, seconds float64) *work {
	t.Helper()
	require.Equal(t, []uint64{sequence}, runs(b, seconds))
	return busy(b, sequence)
}

func busy(b *book, sequence uint64) *work {
	for _, w := range b.running {
		if w.id.sequence == sequence {
			return w
		}
	}
	return nil
}

// handle is what happens when a handler returns nil, without ManualAck.
func handle(b *book, w *work, seconds float64) {
	b.returned(w, at(seconds))
	b.handled(w, at(seconds))
}

// fail is what happens when it returns an error.
func fail(b *book, w *work, err error, seconds float64) {
	b.returned(w, at(seconds))
	b.fail(w, failed(err), at(seconds))
}

// decided returns what is to be done by now, and forgets it.
func decided(b *book) []string {
	names := map[action]string{ackAgain: "ack", giveBack: "give back", holdBack: "hold", letGo: "let go", dropLate: "late", drop: "drop", bury: "bury"}
	var all []string
	for _, e := range b.todo {
		text := fmt.Sprintf("%s %d", names[e.do], e.work.id.sequence)
		if e.delay > 0 {
			text += fmt.Sprintf(" for %v", e.delay)
		}
		all = append(all, text)
	}
	b.todo = nil
	return all
}

// requireEmpty: nothing is left of anything.
func requireEmpty(t *testing.T, b *book) {
	t.Helper()
	require.Empty(t, b.active)
	require.Zero(t, b.ready.Len())
	require.Empty(t, b.running)
	require.Empty(t, b.lines.byKey)
	require.Empty(t, b.asleep.works)
	require.Empty(t, b.gone.works)
	require.Zero(t, b.resting)
}

func TestBookRunsInOrderAsManyAsMay(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0), arrived(3, 0), arrived(4, 0))
	require.Equal(t, []uint64{1, 2}, runs(b, 0))
	handle(b, busy(b, 2), 0)
	require.Equal(t, []uint64{3}, runs(b, 0))
	handle(b, busy(b, 1), 0)
	handle(b, busy(b, 3), 0)
	handle(b, runs1(t, b, 4, 0), 0)
	requireEmpty(t, b)
	require.Empty(t, b.pasts.known)
	require.Empty(t, decided(b))
}

func TestBookDropsWhatIsLate(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 1))
	two := runs1(t, b, 2, 5)
	require.Equal(t, []string{"late 1"}, decided(b))

	arrive(b, again(arrived(1, 6), 2)) // it comes again, and is taken in again
	handle(b, two, 6)
	require.Equal(t, 1, runs1(t, b, 1, 6).attempt, "nobody ran it before")
}

func TestBookTakesARedeliveryOnce(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0))
	one := runs1(t, b, 1, 0)
	arrive(b, again(arrived(1, 5), 2)) // 1 runs: it must not be started twice, and is acknowledged through this one
	arrive(b, again(arrived(2, 5), 2)) // 2 waits: it counts from now
	require.Equal(t, 2, one.delivery.Deliveries)
	handle(b, one, 9)
	two := runs1(t, b, 2, 9)
	require.Equal(t, 1, two.attempt, "its first delivery was never run")
	handle(b, two, 9)
	require.Empty(t, runs(b, 9))
	requireEmpty(t, b)
}

// TestBookHoldsWhatFailed as long as the ack wait lasts; then the redelivery is the
// next attempt.
func TestBookHoldsWhatFailed(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	arrive(b, arrived(1, 0), arrived(2, 0))
	fail(b, runs1(t, b, 1, 0), errToday, 0)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(b))
	require.Equal(t, at(1), b.due())
	handle(b, runs1(t, b, 2, 0), 0.5) // others go on
	require.Empty(t, runs(b, 0.9))
	one := runs1(t, b, 1, 1)
	require.Equal(t, 2, one.attempt)
	fail(b, one, errToday, 1)
	require.Equal(t, []string{"hold 1 for 2s"}, decided(b))
	fail(b, runs1(t, b, 1, 3), errToday, 3)
	require.Equal(t, []string{"let go 1 for 3s"}, decided(b))
	requireEmpty(t, b)

	arrive(b, again(arrived(1, 5), 2))
	one = runs1(t, b, 1, 5)
	require.Equal(t, 4, one.attempt, "three here, though the server has counted two deliveries")
	fail(b, one, errToday, 5)
	require.Equal(t, []string{"bury 1"}, decided(b))
	require.Equal(t, sentence{events.DeadLetterExhausted, errToday, 4, at(5)}, *one.sentence)
	b.buried(one, at(6))
	arrive(b, again(arrived(1, 7), 3))
	require.Equal(t, []string{"ack 1"}, decided(b))
	requireEmpty(t, b)
}

// TestBookLeavesTimeForTheHandler: an attempt that could not be over within the ack
// wait is not made here.
func TestBookLeavesTimeForTheHandler(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.timeout = 3 * time.Second
	b := newBook(r, ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), errToday, 0.5)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(b), "at 1.5 s, until 4.5 s")
	arrive(b, arrived(2, 0))
	fail(b, runs1(t, b, 2, 0), errToday, 0.6)
	require.Equal(t, []string{"let go 2 for 1s"}, decided(b))
}

func TestBookGivesBack(t *testing.T) {
	t.Parallel()
	b := newBook(jetStream(1), ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), errToday, 0)
	require.Equal(t, []string{"give back 1 for 1s"}, decided(b))
	requireEmpty(t, b)
	arrive(b, again(arrived(1, 1), 2))
	one := runs1(t, b, 1, 1)
	require.Equal(t, 2, one.attempt)
	fail(b, one, RetryAfter(time.Hour, errToday), 1)
	require.Equal(t, []string{"give back 1 for 1h0m0s"}, decided(b))
	arrive(b, again(arrived(1, 3601), 3))
	fail(b, runs1(t, b, 1, 3601), Reject(errToday), 3601)
	require.Equal(t, []string{"bury 1"}, decided(b))
}

// TestBookRetryAfter: deliveries before it is due are not run, and not counted.
func TestBookRetryAfter(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	arrive(b, arrived(1, 0))
	fail(b, runs1(t, b, 1, 0), RetryAfter(12*time.Second, errToday), 0)
	require.Equal(t, []string{"let go 1 for 12s"}, decided(b))
	arrive(b, again(arrived(1, 5), 2))
	require.Empty(t, runs(b, 5))
	require.Equal(t, []string{"let go 1 for 7s"}, decided(b))
	arrive(b, again(arrived(1, 10), 3))
	require.Equal(t, []string{"hold 1 for 2s"}, decided(b))
	require.Empty(t, runs(b, 11))
	require.Equal(t, 2, runs1(t, b, 1, 12).attempt)
}

// TestBookCondemns what can't be read, at once; and what could not be buried is not
// run again, when it comes again.
func TestBookCondemns(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	unread := arrived(1, 0)
	f := unreadable(ErrUndecodable)
	unread.failed = &f
	arrive(b, unread)
	require.Equal(t, []string{"bury 1"}, decided(b))
	require.Equal(t, events.DeadLetterUndecodable, unread.sentence.reason)
	arrive(b, again(arrived(1, 2), 2))
	require.Empty(t, decided(b), "it is on its way")
	b.unburied(unread, at(3))
	require.Len(t, decided(b), 1)
	require.Empty(t, runs(b, 3.1))
	require.Empty(t, runs(b, 4))
	require.Equal(t, []string{"bury 1"}, decided(b))
	b.unburied(unread, at(7))
	require.Contains(t, decided(b)[0], "let go 1")
	requireEmpty(t, b)

	arrive(b, again(arrived(1, 10), 3))
	require.Equal(t, []string{"bury 1"}, decided(b))
	require.Empty(t, runs(b, 10))
}

// TestBookWithoutDeadLetters goes on, once an ack wait, and counts.
func TestBookWithoutDeadLetters(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]rules{"give back 1 for 5s": jetStream(1), "let go 1 for 5s": streaming(1)} {
		r.letters = false
		b := newBook(r, ackWait)
		for n := range 3 {
			arrive(b, again(arrived(1, float64(5*n)), n+1))
			fail(b, runs1(t, b, 1, float64(5*n)), Reject(errToday), float64(5*n))
			require.Equal(t, []string{name}, decided(b))
			require.Equal(t, 1, b.stuck.count(at(float64(5*n))))
		}
		require.Zero(t, b.stuck.count(at(21)), "another member has it")
		arrive(b, again(arrived(1, 25), 4))
		handle(b, runs1(t, b, 1, 25), 25)
		require.Zero(t, b.stuck.count(at(25)))
	}
}

// TestBookKeepsTheOrderOfAKey: what fails holds up its key, and no other.
func TestBookKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]rules{"jetstream": jetStream(3), "streaming": streaming(3)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(r, ackWait)
			arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "a"))
			require.Equal(t, []uint64{1, 3}, runs(b, 0), "2 and 4 wait for 1")
			handle(b, busy(b, 3), 0)
			require.Empty(t, runs(b, 0))
			fail(b, busy(b, 1), errToday, 0)
			require.Equal(t, []string{"hold 1 for 1s"}, decided(b))
			require.Empty(t, runs(b, 0.5))
			one := runs1(t, b, 1, 1)
			fail(b, one, Reject(errToday), 1)
			require.Equal(t, []string{"bury 1"}, decided(b))
			require.Empty(t, runs(b, 1))
			b.buried(one, at(1))
			handle(b, runs1(t, b, 2, 1), 1)
			handle(b, runs1(t, b, 4, 1), 1)
			requireEmpty(t, b)
		})
	}
}

// TestBookKeyWaitsForWhatIsGone until it comes again, or another member must have
// it; those behind it that become late come again in order.
func TestBookKeyWaitsForWhatIsGone(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 1, "a"), keyed(3, 3, "a"))
	fail(b, runs1(t, b, 1, 0), RetryAfter(5*time.Second, errToday), 0)
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
	fail(b, runs1(t, b, 4, 10), RetryAfter(time.Minute, errToday), 10)
	require.Equal(t, at(20), b.due(), "two ack waits")
	arrive(b, again(keyed(5, 17, "a"), 2))
	require.Empty(t, runs(b, 19.9))
	handle(b, runs1(t, b, 5, 20), 20)
	requireEmpty(t, b)

	r := streaming(2)
	r.alone = true
	b = newBook(r, ackWait)
	arrive(b, keyed(1, 0, "a"))
	fail(b, runs1(t, b, 1, 0), RetryAfter(time.Minute, errToday), 0)
	require.Equal(t, at(60), b.due(), "nobody else can have it")
}

// TestBookTakesALowerOneIn: one that another member had comes before those that
// wait, but not before the one that runs.
func TestBookTakesALowerOneIn(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(5, 0, "a"), keyed(6, 0, "a"))
	five := runs1(t, b, 5, 0)
	arrive(b, again(keyed(3, 1, "a"), 2))
	require.Empty(t, runs(b, 1))
	handle(b, five, 1)
	arrive(b, again(keyed(2, 1, "a"), 2)) // 3 has not begun
	handle(b, runs1(t, b, 2, 1), 1)
	fail(b, runs1(t, b, 3, 1), errToday, 1)
	arrive(b, again(keyed(1, 1, "a"), 2))
	handle(b, runs1(t, b, 1, 1), 1)
	require.Empty(t, runs(b, 2.9))
	handle(b, runs1(t, b, 3, 3), 3)
	handle(b, runs1(t, b, 6, 3), 3)
	requireEmpty(t, b)
}

// TestBookHoldsTheKey until its event is settled and its handler has returned,
// whichever comes last; an attempt that failed waits for its handler, too.
func TestBookHoldsTheKey(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "a"))
	one := runs1(t, b, 1, 0)
	b.returned(one, at(0))
	require.Empty(t, runs(b, 0), "1 is not settled")
	b.handled(one, at(0))
	two := runs1(t, b, 2, 0)
	b.handled(two, at(0))
	require.Empty(t, runs(b, 0), "the handler of 2 still runs")
	b.returned(two, at(0))
	three := runs1(t, b, 3, 0)
	b.fail(three, failed(errToday), at(0))
	require.Empty(t, decided(b), "the handler of 3 still runs")
	b.returned(three, at(1))
	require.Equal(t, []string{"hold 3 for 1s"}, decided(b))
	handle(b, runs1(t, b, 3, 2), 2)
	requireEmpty(t, b)
}

// TestBookLateAck: what was given up and is acknowledged all the same is not tried
// again.
func TestBookLateAck(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	for name, prepare := range map[string]func(w *work){
		"held":      func(*work) {},
		"ready":     func(*work) { b.wake(at(100)) },
		"let go":    func(w *work) { b.release(w, at(100)); b.asleep = queue{} },
		"came back": func(w *work) { b.remove(w, at(1)); arrive(b, again(arrived(w.id.sequence, 1), 2)) },
	} {
		w := arrived(uint64(len(name)), 0)
		arrive(b, w)
		require.Equal(t, w, b.next(at(0)))
		fail(b, w, errToday, 0)
		prepare(w)
		b.handledLate(w, at(1))
		require.Empty(t, runs(b, 2), name)
		decided(b)
		arrive(b, again(arrived(w.id.sequence, 5), 2))
		require.Equal(t, []string{fmt.Sprintf("ack %d", len(name))}, decided(b), name)
		requireEmpty(t, b)
	}
}

// TestBookAcknowledgesAgain what comes again although it was acknowledged, and
// does not run it.
func TestBookAcknowledgesAgain(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(1), ackWait)
	arrive(b, arrived(1, 0))
	one := runs1(t, b, 1, 0)
	arrive(b, arrived(1, 0)) // it runs
	b.returned(one, at(0))
	arrive(b, arrived(1, 0)) // it is not settled: with ManualAck
	require.Empty(t, runs(b, 0))
	require.Empty(t, decided(b))
	b.handled(one, at(0))
	arrive(b, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(b))
	b.drain(at(0))
	arrive(b, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(b), "also while it drains")
	require.Empty(t, runs(b, 0))
}

// named is the delivery of an event that has an ID of its own.
func named(sequence uint64, id string) *work {
	w := arrived(sequence, 0)
	w.name = nameOf(transport.Header{"ce-id": {id}, "ce-source": {"/ticketing/tickets"}})
	return w
}

// TestBookKnowsEventsByName: one that is stored twice is handled once, also while
// the first runs; unless that fails, or became a dead letter, which may be put back.
func TestBookKnowsEventsByName(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(4), ackWait)
	arrive(b, named(1, "a"), named(2, "a"), named(3, "b"))
	require.Equal(t, []uint64{1, 3}, runs(b, 0))
	handle(b, busy(b, 1), 0)
	require.Empty(t, runs(b, 0))
	require.Equal(t, []string{"ack 2"}, decided(b))

	arrive(b, named(4, "b"))
	fail(b, busy(b, 3), Reject(errToday), 0)
	b.buried(b.todo[0].work, at(0))
	decided(b)
	handle(b, runs1(t, b, 4, 0), 0)
	arrive(b, named(5, "b"))
	require.Empty(t, runs(b, 0))
	require.Equal(t, []string{"ack 5"}, decided(b))
	requireEmpty(t, b)
	require.NotEqual(t, named(1, "a").name, named(1, "b").name)
	require.Equal(t, name{}, nameOf(transport.Header{"Nats-Msg-Id": {"a"}}))
}

func TestDoneIsBounded(t *testing.T) {
	t.Parallel()
	const n, size = 50_000, 16_384
	d := newDone(16)
	for n := range uint64(n) {
		d.add(identity{sequence: n}, name{n + 1})
		d.add(identity{sequence: n}, name{n + 1})
		require.LessOrEqual(t, len(d.young.ids)+len(d.old.ids), 2*size)
		require.LessOrEqual(t, len(d.young.names)+len(d.old.names), 2*size)
		require.True(t, d.has(identity{sequence: n}))
		require.True(t, d.named(name{n + 1}))
	}
	require.True(t, d.has(identity{sequence: n - size}))
	require.True(t, d.named(name{n - size}))
	require.False(t, d.has(identity{sequence: n - 2*size - 1}), "the oldest is forgotten first")
	require.False(t, d.named(name{n - 2*size}))
	d.add(identity{sequence: 1, stored: 1}, name{})
	require.True(t, d.has(identity{sequence: 1, stored: 1}), "sequences begin anew where a store was lost")
	require.False(t, d.has(identity{sequence: 2, stored: 1}))
	d.add(identity{sequence: 1}, name{}) // of the lost store, handled late
	require.True(t, d.has(identity{sequence: 1, stored: 1}))
	require.Equal(t, 2*size, newDone(size).size)
}

// TestGoneComesBackUnreadable: an event whose line waits for it can't be read when it comes again,
// as one that is valid for a time only. The line goes on.
func TestGoneComesBackUnreadable(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"))
	fail(b, runs1(t, b, 1, 0), RetryAfter(4900*time.Millisecond, errToday), 0.1) // which does not fit: it comes again
	decided(b)
	w := arrived(1, 5)
	f := unreadable(ErrInvalidEvent)
	w.failed = &f
	arrive(b, w, keyed(2, 5, "a"))
	require.Equal(t, []uint64{2}, runs(b, 5))
	b.buried(w, at(5.1))
	handle(b, busy(b, 2), 5.2)
	require.Empty(t, b.lines.byKey)
}

// TestLineUsedAgain: a line that is used for another key holds nothing of the one before.
func TestLineUsedAgain(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"))
	one := runs1(t, b, 1, 0)
	b.handled(one, at(0)) // with ManualAck: its handler goes on
	for i := range 2*b.done.size + 1 {
		b.done.add(identity{uint64(10 + i), 5}, name{})
	}
	arrive(b, keyed(1, 60, "a")) // its acknowledgement was lost, and forgotten here
	b.interrupt(at(61))
	b.wake(at(121))
	b.returned(one, at(122))
	arrive(b, keyed(70_000, 123, "b"))
	require.Equal(t, []uint64{70_000}, runs(b, 123))
}

// TestDoneIsLookedUp: what was never asked for is there all the same.
func TestDoneIsLookedUp(t *testing.T) {
	t.Parallel()
	const n = 40_000
	d := newDone(16)
	for n := range uint64(n) {
		d.add(identity{sequence: n}, name{})
	}
	for sequence := uint64(n); sequence > n-16_384; sequence-- {
		require.True(t, d.has(identity{sequence: sequence - 1}))
		require.False(t, d.has(identity{sequence: sequence - 1, stored: 1}))
	}
	require.False(t, d.has(identity{sequence: n}))
	require.False(t, d.has(identity{sequence: 0}), "it is forgotten")
}

// TestBookIdentity: after a server lost its store, a sequence is another event.
func TestBookIdentity(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, arrived(1, 0), newWork(transport.Delivery{Sequence: 1, Timestamp: start.Add(time.Hour)}, at(0)))
	require.Equal(t, []uint64{1, 1}, runs(b, 0))
}

func TestBookCountsAttempts(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.attempts = 100
	r.backoff = func(int) time.Duration { return time.Hour }
	b := newBook(r, ackWait)
	for attempt := 1; attempt <= 3; attempt++ { // the server counts 1 each time, as after a restart
		arrive(b, arrived(1, float64(attempt)))
		w := runs1(t, b, 1, float64(attempt))
		require.Equal(t, attempt, w.attempt)
		fail(b, w, errToday, float64(attempt))
	}
	arrive(b, again(arrived(1, 4), 9)) // it was at another member meanwhile
	w := runs1(t, b, 1, 4)
	require.Equal(t, 9, w.attempt)
	handle(b, w, 4)
	require.Empty(t, b.pasts.known)
}

func TestPastsAreBounded(t *testing.T) {
	t.Parallel()
	var p pasts
	for n := range uint64(10 * rememberedPast) {
		p.set(identity{sequence: n}, past{attempt: 1})
		require.LessOrEqual(t, len(p.order), 2*rememberedPast)
		require.LessOrEqual(t, len(p.known), 2*rememberedPast)
		if n%3 == 0 {
			p.forget(identity{sequence: n})
		}
	}
	require.Equal(t, 1, p.of(identity{sequence: 10*rememberedPast - 2}).attempt, "the newest are remembered")
}

// TestBookInterrupt drops what does not run, and lets none of a key overtake what
// was dropped.
func TestBookInterrupt(t *testing.T) {
	t.Parallel()
	b := newBook(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "b"), arrived(5, 0))
	require.Equal(t, []uint64{1, 3}, runs(b, 0))
	fail(b, busy(b, 3), errToday, 0)
	decided(b)
	b.interrupt(at(0))
	require.Equal(t, []string{"drop 2", "drop 3", "drop 4", "drop 5"}, decided(b))
	arrive(b, keyed(6, 1, "a"), keyed(7, 1, "b"))
	require.Empty(t, runs(b, 1))
	handle(b, busy(b, 1), 1)
	require.Empty(t, runs(b, 1), "6 must not overtake 2, nor 7 3")
	arrive(b, again(keyed(2, 1, "a"), 2), again(keyed(3, 1, "b"), 2), again(keyed(4, 1, "b"), 2))
	require.Equal(t, []uint64{2, 3}, runs(b, 1))
	require.Equal(t, 1, busy(b, 2).attempt)
	require.Equal(t, 2, busy(b, 3).attempt)
}

func TestBookDrain(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]rules{"give back": jetStream(1), "drop": streaming(1)} {
		b := newBook(r, ackWait)
		arrive(b, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"))
		one := runs1(t, b, 1, 0)
		b.drain(at(0))
		require.Equal(t, []string{name + " 2", name + " 3"}, decided(b))
		arrive(b, arrived(4, 0))
		require.Equal(t, []string{"drop 4"}, decided(b))
		require.Empty(t, runs(b, 0))
		fail(b, one, errToday, 0)
		require.Len(t, decided(b), 1, "it is not held")
		require.Empty(t, runs(b, 9))
		requireEmpty(t, b)
	}
}
