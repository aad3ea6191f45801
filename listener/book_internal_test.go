package listener

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

const ackWait = 5 * time.Second

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// arrived is the delivery of an event at a moment.
func arrived(sequence uint64, seconds int) *work {
	return newWork(transport.Delivery{Sequence: sequence, Timestamp: start, Deliveries: 1}, at(seconds))
}

func keyed(sequence uint64, seconds int, key string) *work {
	w := arrived(sequence, seconds)
	w.key, w.keyed = key, true
	return w
}

// runs returns the sequences that begin to run now.
func runs(b *book, seconds int) []uint64 {
	var sequences []uint64
	for {
		w, _ := b.next(at(seconds))
		if w == nil {
			return sequences
		}
		sequences = append(sequences, w.id.sequence)
	}
}

func running(b *book, sequence uint64) *work {
	for w := range b.running {
		if w.id.sequence == sequence {
			return w
		}
	}
	return nil
}

// finish is what happens when a handler returns, without ManualAck.
func finish(b *book, w *work, acknowledged bool) {
	b.returned(w)
	b.settled(w, acknowledged)
}

func TestBookRunsInOrderAsManyAsMay(t *testing.T) {
	t.Parallel()
	b := newBook(2, 16, ackWait)
	for n := range uint64(4) {
		b.arrive(arrived(n+1, 0))
	}
	require.Equal(t, []uint64{1, 2}, runs(b, 0))
	finish(b, running(b, 2), true)
	require.Equal(t, []uint64{3}, runs(b, 0))
	finish(b, running(b, 1), true)
	finish(b, running(b, 3), true)
	require.Equal(t, []uint64{4}, runs(b, 0))
	finish(b, running(b, 4), true)
	require.Empty(t, b.active)
	require.Empty(t, b.attempts.runs)
}

func TestBookDropsWhatIsLate(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	b.arrive(arrived(1, 0))
	b.arrive(arrived(2, 1))
	w, late := b.next(at(5))
	require.Equal(t, uint64(2), w.id.sequence)
	require.Len(t, late, 1)
	require.Equal(t, uint64(1), late[0].id.sequence)

	b.arrive(arrived(1, 6)) // it comes again, and is taken in again
	finish(b, w, true)
	require.Equal(t, []uint64{1}, runs(b, 6))
}

func TestBookTakesARedeliveryOnce(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	b.arrive(arrived(1, 0))
	b.arrive(arrived(2, 0))
	require.Equal(t, []uint64{1}, runs(b, 0))
	again := arrived(1, 5)
	again.delivery.Deliveries = 2
	b.arrive(again)         // 1 runs: it must not be started twice, and is acknowledged through this one
	b.arrive(arrived(2, 5)) // 2 waits: it counts from now
	one := running(b, 1)
	require.Equal(t, 2, one.delivery.Deliveries)
	finish(b, one, true)
	require.Equal(t, []uint64{2}, runs(b, 9))
	finish(b, running(b, 2), true)
	require.Empty(t, runs(b, 9))
}

// TestBookRunsAgainWhatFailed at once, when it was delivered once more while it
// ran or was not settled: the server waits one ack wait before it sends it again.
func TestBookRunsAgainWhatFailed(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	b.arrive(arrived(1, 0))
	require.Equal(t, []uint64{1}, runs(b, 0))
	one := running(b, 1)
	b.returned(one) // with ManualAck: it may still be settled
	again := arrived(1, 5)
	again.delivery.Deliveries = 2
	b.arrive(again)
	require.Empty(t, runs(b, 5), "it is not given up yet")
	b.settled(one, false)
	w, late := b.next(at(6))
	require.Empty(t, late)
	require.Equal(t, uint64(1), w.id.sequence)
	require.Equal(t, 2, w.attempt)
	require.Equal(t, again.delivery, w.delivery)

	b.arrive(arrived(1, 10))
	finish(b, w, false)
	w, late = b.next(at(15))
	require.Nil(t, w)
	require.Len(t, late, 1, "the third delivery's ack wait has passed, too")

	b.arrive(arrived(2, 15))
	require.Equal(t, []uint64{2}, runs(b, 15))
	finish(b, running(b, 2), false)
	require.Empty(t, runs(b, 15), "it was not delivered again")

	b.arrive(arrived(3, 15))
	require.Equal(t, []uint64{3}, runs(b, 15))
	b.arrive(arrived(3, 20))
	finish(b, running(b, 3), true)
	require.Empty(t, runs(b, 20), "it was acknowledged")

	b.arrive(arrived(4, 20))
	require.Equal(t, []uint64{4}, runs(b, 20))
	b.arrive(arrived(4, 25))
	b.drain()
	finish(b, running(b, 4), false)
	require.Empty(t, runs(b, 25), "nothing begins while it drains")
	require.Empty(t, b.active)
}

// TestBookRunsAgainInTheOrderOfItsKey: what failed and is here again runs before
// the later ones of its key.
func TestBookRunsAgainInTheOrderOfItsKey(t *testing.T) {
	t.Parallel()
	b := newBook(2, 16, ackWait)
	b.arrive(keyed(1, 0, "a"))
	b.arrive(keyed(2, 4, "a"))
	require.Equal(t, []uint64{1}, runs(b, 4))
	b.arrive(keyed(1, 5, "a"))
	finish(b, running(b, 1), false)
	require.Equal(t, []uint64{1}, runs(b, 6))
	finish(b, running(b, 1), true)
	require.Equal(t, []uint64{2}, runs(b, 6))
	finish(b, running(b, 2), true)
	require.Empty(t, b.active)
	require.Empty(t, b.waiting)
}

// TestBookHoldsTheKey until its event is settled, or given up, and its handler has
// returned, whichever comes last.
func TestBookHoldsTheKey(t *testing.T) {
	t.Parallel()
	b := newBook(2, 16, ackWait)
	for n := range uint64(4) {
		b.arrive(keyed(n+1, 0, "a"))
	}
	require.Equal(t, []uint64{1}, runs(b, 0))
	one := running(b, 1)
	b.returned(one)
	require.Empty(t, runs(b, 0), "1 is not settled")
	b.settled(one, true)
	require.Equal(t, []uint64{2}, runs(b, 0))
	two := running(b, 2)
	b.settled(two, true)
	require.Empty(t, runs(b, 0), "the handler of 2 still runs")
	b.returned(two)
	require.Equal(t, []uint64{3}, runs(b, 0))
	three := running(b, 3)
	b.returned(three)
	b.settled(three, false)
	require.Equal(t, []uint64{4}, runs(b, 0), "3 was given up")
	finish(b, running(b, 4), true)
	require.Empty(t, b.waiting)
}

// TestBookAcknowledgesAgain what comes again although it was acknowledged, and
// does not run it.
func TestBookAcknowledgesAgain(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	require.False(t, b.arrive(arrived(1, 0)))
	require.Equal(t, []uint64{1}, runs(b, 0))
	require.False(t, b.arrive(arrived(1, 0)), "it runs")
	one := running(b, 1)
	b.returned(one)
	require.False(t, b.arrive(arrived(1, 0)), "it is not settled: with ManualAck")
	require.Empty(t, runs(b, 0))
	b.settled(one, true)
	require.True(t, b.arrive(arrived(1, 0)))
	b.drain()
	require.True(t, b.arrive(arrived(1, 0)), "also while it drains")
	require.Empty(t, runs(b, 0))
}

func TestDoneIsBounded(t *testing.T) {
	t.Parallel()
	const n, size = 50_000, 16_384
	d := newDone(16)
	for n := range uint64(n) {
		d.add(identity{sequence: n})
		d.add(identity{sequence: n})
		require.LessOrEqual(t, len(d.ids), size)
		require.True(t, d.has(identity{sequence: n}))
	}
	require.True(t, d.has(identity{sequence: n - size}))
	require.False(t, d.has(identity{sequence: n - size - 1}), "the oldest is forgotten first")
	require.Equal(t, 2*size, newDone(size).size)
}

// TestBookIdentity: after a server lost its store, a sequence is another event.
func TestBookIdentity(t *testing.T) {
	t.Parallel()
	b := newBook(2, 16, ackWait)
	b.arrive(arrived(1, 0))
	other := newWork(transport.Delivery{Sequence: 1, Timestamp: start.Add(time.Hour)}, at(0))
	b.arrive(other)
	require.Equal(t, []uint64{1, 1}, runs(b, 0))
}

func TestBookKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	b := newBook(3, 16, ackWait)
	b.arrive(keyed(1, 0, "a"))
	b.arrive(keyed(2, 0, "a"))
	b.arrive(keyed(3, 0, "b"))
	b.arrive(keyed(4, 0, "a"))
	require.Equal(t, []uint64{1, 3}, runs(b, 0), "2 and 4 wait for 1")
	finish(b, running(b, 3), true)
	require.Empty(t, runs(b, 0))
	finish(b, running(b, 1), false)
	require.Equal(t, []uint64{2}, runs(b, 0))
	finish(b, running(b, 2), true)
	require.Equal(t, []uint64{4}, runs(b, 0))
	finish(b, running(b, 4), true)
	require.Empty(t, b.waiting)
	require.Empty(t, b.active)
}

// TestBookLateMakesWayForItsKey: dropping the first of a key does not leave those
// behind it for ever.
func TestBookLateMakesWayForItsKey(t *testing.T) {
	t.Parallel()
	b := newBook(2, 16, ackWait)
	b.arrive(keyed(1, 0, "a"))
	b.arrive(keyed(2, 3, "a"))
	require.Equal(t, []uint64{2}, runs(b, 6))
}

func TestBookCountsAttempts(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	for attempt := 1; attempt <= 3; attempt++ { // the server counts 1 each time, as after a restart
		b.arrive(arrived(1, attempt))
		w, _ := b.next(at(attempt))
		require.Equal(t, attempt, w.attempt)
		finish(b, w, false)
	}
	w := arrived(1, 4)
	w.delivery.Deliveries = 9 // it was at another member meanwhile
	b.arrive(w)
	w, _ = b.next(at(4))
	require.Equal(t, 9, w.attempt)
	finish(b, w, true)
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	var a attempts
	for n := range uint64(10 * rememberedAttempts) {
		a.begin(identity{sequence: n})
		require.LessOrEqual(t, len(a.order), 2*rememberedAttempts)
		require.LessOrEqual(t, len(a.runs), 2*rememberedAttempts)
	}
	require.Equal(t, 2, a.begin(identity{sequence: 10*rememberedAttempts - 1}), "the newest are remembered")
}

func TestBookDrain(t *testing.T) {
	t.Parallel()
	b := newBook(1, 16, ackWait)
	b.arrive(keyed(1, 0, "a"))
	b.arrive(keyed(2, 0, "a"))
	b.arrive(keyed(3, 0, "b"))
	require.Equal(t, []uint64{1}, runs(b, 0))
	b.drain()
	b.arrive(arrived(4, 0))
	finish(b, running(b, 1), true)
	require.Empty(t, runs(b, 0))
}
