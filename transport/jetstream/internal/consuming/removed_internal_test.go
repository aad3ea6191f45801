package consuming

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// looked has the machine learn the state of the consumer and its stream, and returns what it
// tells.
func (b *bench) looked(info Info) (told []transport.Event) {
	b.Helper()
	b.m.Look()
	info.Created, info.Stream.Known = simBegin, true
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	for _, e := range b.m.Effects(nil) {
		if e.Do == Tell {
			told = append(told, e.Event)
		}
	}
	return told
}

// removed is the same for what was removed.
func (b *bench) removed(info Info) (lost transport.Removed) {
	b.Helper()
	for _, e := range b.looked(info) {
		require.Equal(b, transport.MessagesRemoved, e.Kind)
		require.ErrorContains(b, e.Err, "max_age")
		require.Zero(b, lost.Count, "it is told once")
		lost = e.Removed
	}
	return lost
}

// begunAt is a machine whose consumer is there already.
func begunAt(t *testing.T, info Info) *bench {
	t.Helper()
	b := &bench{T: t, now: simBegin, number: info.Deliveries}
	b.m = New(Config{Consumer: "c", Subject: "a", MaxInFlight: 8, Backoff: func(int) time.Duration { return time.Second }})
	info.Created = simBegin
	b.m.Begin(b.now, info, simBegin)
	b.effects()
	return b
}

func upTo(count, first, last uint64) transport.Removed {
	return transport.Removed{Subject: "a", First: first, Last: last, Count: count, AtMost: true}
}

// TestRemoved: the stream's first sequence has passed the place of the consumer.
func TestRemoved(t *testing.T) {
	t.Parallel()
	t.Run("while nobody listened", func(t *testing.T) {
		t.Parallel()
		b := begunAt(t, Info{Delivered: 5, Deliveries: 5})
		info := Info{Delivered: 5, Deliveries: 5, Pending: 10, Stream: Bounds{First: 31, Last: 40}}
		require.Zero(t, b.removed(info), "the consumer passes them when it delivers the next one")
		b.take(31)
		info.Delivered, info.Deliveries, info.Pending = 31, 6, 9
		require.Equal(t, upTo(25, 6, 30), b.removed(info))
		require.Zero(t, b.removed(info), "it is told once")
		b.take(33)
		info.Delivered, info.Deliveries, info.Stream.First = 33, 7, 33
		require.Equal(t, upTo(1, 32, 32), b.removed(info))
	})
	t.Run("and nothing is left", func(t *testing.T) {
		t.Parallel()
		b := begunAt(t, Info{Delivered: 5, Deliveries: 5})
		require.Equal(t, upTo(35, 6, 40), b.removed(Info{Delivered: 40, Deliveries: 5, Stream: Bounds{First: 41, Last: 40}}))
	})
	t.Run("while a listener is slow", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.take(1)
		b.take(2)
		b.take(31)
		require.Equal(t, upTo(28, 2, 30), b.removed(Info{Delivered: 31, Deliveries: 3, Pending: 9, Stream: Bounds{First: 31, Last: 40}}))
	})
	t.Run("before a consumer began: that was promised to nobody", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.take(31)
		b.take(32)
		require.Zero(t, b.removed(Info{Delivered: 32, Deliveries: 2, Pending: 9, Stream: Bounds{First: 31, Last: 40}}))
		b = begun(t, Config{MaxInFlight: 8, Shared: true})
		require.Zero(t, b.removed(Info{Delivered: 32, Deliveries: 2, Pending: 9, Stream: Bounds{First: 31, Last: 40}}), "another member had the first")
	})
	t.Run("nothing was: all came", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		for n := range uint64(6) {
			b.take(n + 1)
		}
		b.number++
		b.m.Delivered(b.now, b.m.round, Message{Sequence: 2, ConsumerSequence: b.number, Stored: simBegin, Reply: "again", Again: true})
		require.Zero(t, b.removed(Info{Delivered: 6, Deliveries: 6, Stream: Bounds{First: 7, Last: 6}}), "the server said so before the last delivery")
	})
	t.Run("nothing was: the others are of other subjects", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.take(1)
		for range 2 {
			require.Zero(t, b.removed(Info{Delivered: 1, Deliveries: 1, Stream: Bounds{First: 1, Last: 500}}))
		}
		b.take(501)
		require.Zero(t, b.removed(Info{Delivered: 501, Deliveries: 2, Stream: Bounds{First: 400, Last: 501}}))
	})
	t.Run("what is acknowledged is removed", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		require.Zero(t, b.removed(Info{Pending: 1, Stream: Bounds{First: 0, Last: 40}}), "retention workqueue")
	})
	t.Run("before it came again", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		given, kept, held := b.take(1), b.take(2), b.take(3)
		b.settle(given, GivenBack)
		b.settle(kept, Released)
		b.effects()
		info := Info{Delivered: 3, Deliveries: 3, Stream: Bounds{First: 1, Last: 3}}
		require.Zero(t, b.removed(info))
		info.Stream.First = 4
		require.Equal(t, transport.Removed{Subject: "a", First: 1, Last: 2, Count: 2}, b.removed(info))
		require.Zero(t, b.m.awaiting)
		b.settle(held, Released)
		require.Equal(t, transport.Removed{Subject: "a", First: 3, Last: 3, Count: 1}, b.removed(info))
	})
	t.Run("within the stream, by the limit of each subject", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8, PerSubject: 5})
		deliver := func(sequence, pending uint64) {
			b.number++
			b.m.Delivered(b.now, b.m.round, Message{Sequence: sequence, ConsumerSequence: b.number, Stored: simBegin, Pending: pending})
		}
		info := Info{Pending: 4, Stream: Bounds{First: 1, Last: 40}}
		deliver(10, 4) // the first one of a new consumer: what was removed before was promised to nobody
		deliver(12, 3)
		info.Delivered, info.Deliveries = 12, 2
		require.Zero(t, b.removed(info))
		deliver(31, 4)
		info.Delivered, info.Deliveries = 31, 3
		require.Equal(t, upTo(18, 13, 30), b.removed(info))
		require.Zero(t, b.removed(info))
		deliver(39, 3)
		info.Delivered, info.Deliveries = 39, 4
		require.Zero(t, b.removed(info), "the others are of other subjects")
	})
	t.Run("the stream was not looked at", func(t *testing.T) {
		t.Parallel()
		p := passed{}
		require.Zero(t, p.look(Info{Delivered: 9, Stream: Bounds{First: 9, Last: 9}}))
	})
}

// TestLooksAtOnce when sequences were passed over, and not for each.
func TestLooksAtOnce(t *testing.T) {
	t.Parallel()
	b := begunAt(t, Info{Delivered: 5, Deliveries: 5})
	b.m.Look()
	b.expect("find consumer")
	b.take(31)
	require.NotContains(t, b.effects(), "find consumer", "one question is out")
	b.m.ConsumerFound(b.now, b.m.calls, Info{Created: simBegin, Delivered: 5, Deliveries: 5}, false, nil)
	b.expect("find consumer")
	b.m.ConsumerFound(b.now, b.m.calls, Info{Created: simBegin, Delivered: 31, Deliveries: 6}, false, nil)
	b.take(33)
	require.NotContains(t, b.effects(), "find consumer")
	b.now = b.now.Add(Heartbeat)
	b.take(35)
	require.Contains(t, b.effects(), "find consumer")
}

// TestLookIsOlderThanAMessage: the server says what the consumer and the stream were before a
// message came. That shows no stream that went back.
func TestLookIsOlderThanAMessage(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	b.m.Look()
	b.take(1)
	b.m.ConsumerFound(b.now, b.m.calls, Info{Created: simBegin, Stream: Bounds{Known: true}}, false, nil)
	require.True(t, b.m.Current(1))
	require.NotContains(t, b.effects(), "find stream")
	b.take(2)
}

// TestLooksNowAndThen while nothing moves, so that the place is known.
func TestLooksNowAndThen(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	looked := 0
	for range 24 {
		b.now = b.m.Due()
		b.m.Status(b.now, b.m.round, "100", "Idle Heartbeat", Unknown)
		b.m.Wake(b.now)
		for _, e := range b.effects() {
			if e == "find consumer" {
				looked++
				b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
			}
		}
	}
	require.Equal(t, 4, looked, "in two minutes")
}

// TestStreamRestored from a backup: it has its creation time, and less than before, or other
// messages.
func TestStreamRestored(t *testing.T) {
	t.Parallel()
	later := simBegin.Add(time.Hour)
	same := Stream{Created: simBegin, LastSequence: 20, Stored: later}
	restoredTo := func(b *bench) {
		b.Helper()
		require.False(b, b.m.Current(1), "what has the sequences now must not be acknowledged")
		b.expect("find stream")
		b.m.StreamFound(b.now, b.m.calls, same, nil)
		b.expect("store lost", "find consumer")
		b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
		b.expect("open inbox", "pull 8")
	}
	t.Run("its last sequence went back", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.take(15)
		require.Empty(t, b.looked(Info{Delivered: 15, Deliveries: 1, Stream: Bounds{First: 1, Last: 15}}))
		b.m.Look()
		b.expect("find consumer")
		b.m.ConsumerFound(b.now, b.m.calls, Info{Created: simBegin, Delivered: 5, Stream: Bounds{Known: true, First: 1, Last: 8}}, false, nil)
		restoredTo(b)
	})
	t.Run("a sequence comes with another message", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.settle(b.take(15), Done)
		b.effects()
		b.m.Delivered(b.now, b.m.round, Message{Sequence: 6, ConsumerSequence: 6, Stored: later, Reply: "new"})
		require.False(t, b.m.Current(1))
		b.expect("find stream", "give back new")
		b.m.StreamFound(b.now, b.m.calls, same, nil)
		b.expect("store lost", "find consumer")
	})
	t.Run("its consumer is gone, and it has grown since", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.settle(b.take(15), Done)
		b.effects()
		b.m.Status(b.now, b.m.round, "409", "Consumer Deleted", Unknown)
		b.expect("find stream")
		b.m.StreamFound(b.now, b.m.calls, same, nil)
		b.expect("store lost", "find consumer")
		b.m.ConsumerFound(b.now, b.m.calls, Info{}, true, errTest)
		b.expect("create consumer from 0")
	})
	t.Run("it is the same", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.settle(b.take(15), Done)
		b.effects()
		b.m.Status(b.now, b.m.round, "409", "Consumer Deleted", Unknown)
		for _, e := range b.m.Effects(nil) {
			if e.Do == FindStream {
				require.Equal(t, uint64(15), e.Sequence)
			}
		}
		b.m.StreamFound(b.now, b.m.calls, Stream{Created: simBegin, LastSequence: 20, Stored: simBegin}, nil)
		b.expect("find consumer")
	})
	t.Run("it was made anew: its owner was told", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.take(15)
		b.effects()
		b.m.Delivered(b.now, b.m.round, Message{Sequence: 6, ConsumerSequence: 6, Stored: later, Reply: "new"})
		b.expect("find stream", "give back new")
		b.m.StreamFound(b.now, b.m.calls, Stream{Created: later, LastSequence: 20}, nil)
		b.expect("find consumer")
	})
}
