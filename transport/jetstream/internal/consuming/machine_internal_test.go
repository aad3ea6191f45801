package consuming

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// bench drives a machine by hand.
type bench struct {
	*testing.T

	m      *Machine
	now    time.Time
	number uint64 // of the last delivery of the consumer
}

var (
	theInfo = Info{Created: simBegin, AckWait: time.Second}
	errTest = errors.New("test")
)

// begun is a machine that has asked for messages.
func begun(t *testing.T, config Config) *bench {
	t.Helper()
	config.Consumer, config.Subject = "c", "a"
	config.Backoff = func(int) time.Duration { return time.Second }
	b := &bench{T: t, m: New(config), now: simBegin}
	b.m.Begin(b.now, theInfo, simBegin)
	b.expect("open inbox", fmt.Sprintf("pull %d", config.MaxInFlight))
	return b
}

// effects returns what the machine wants done, and what it tells.
func (b *bench) effects() []string {
	var all []string
	for _, e := range b.m.Effects(nil) {
		switch e.Do {
		case Log:
			if e.Level >= slog.LevelWarn {
				all = append(all, strings.ToLower(e.Level.String()))
			}
			continue
		case Pull:
			all = append(all, fmt.Sprintf("pull %d", e.Batch))
		case GiveBack:
			all = append(all, "give back "+e.Reply)
		case CreateConsumer:
			all = append(all, fmt.Sprintf("create consumer from %d", e.Sequence))
		case Tell:
			all = append(all, e.Event.Kind.String())
		default:
			all = append(all, e.Do.String())
		}
	}
	return all
}

func (b *bench) expect(want ...string) {
	b.Helper()
	require.Equal(b, want, b.effects())
}

// deliver delivers a message of the stream that was stored at its beginning. handUp: it is handed up.
func (b *bench) deliver(sequence uint64) (msg Message, handUp bool) {
	b.Helper()
	b.number++
	msg = Message{Sequence: sequence, ConsumerSequence: b.number, Stored: simBegin, Reply: fmt.Sprintf("%d.%d", sequence, b.number)}
	_, handUp = b.m.Delivered(b.now, b.m.round, msg)
	return msg, handUp
}

func (b *bench) take(sequence uint64) Message {
	b.Helper()
	msg, handUp := b.deliver(sequence)
	require.True(b, handUp)
	return msg
}

// settle settles a message of the first stream.
func (b *bench) settle(msg Message, outcome Outcome) {
	b.m.Settled(b.now, 1, msg.Sequence, msg.Reply, outcome)
}

// gone has the machine find out that the consumer is gone, and find the stream.
func (b *bench) gone(stream Stream) {
	b.Helper()
	b.effects()
	b.m.Status(b.now, b.m.round, "409", "Consumer Deleted", Unknown)
	b.expect("find stream")
	b.m.StreamFound(b.now, b.m.calls, stream, nil)
	b.expect("find consumer")
	b.m.ConsumerFound(b.now, b.m.calls, Info{}, true, errTest)
}

// TestResume: a consumer that is created again begins where the members stood: not above
// what may not have been handled.
func TestResume(t *testing.T) {
	t.Parallel()
	stream := Stream{Created: simBegin, LastSequence: 100}
	acked := func(b *bench, sequences ...uint64) {
		for _, sequence := range sequences {
			b.settle(b.take(sequence), Done)
		}
	}
	for name, tc := range map[string]struct {
		shared bool
		play   func(b *bench)
		want   uint64
	}{
		"nothing was delivered":   {false, func(*bench) {}, 1},
		"all was acknowledged":    {false, func(b *bench) { acked(b, 1, 2, 4) }, 5},
		"one is here":             {false, func(b *bench) { acked(b, 1); b.take(2); acked(b, 3) }, 2},
		"one was given back":      {false, func(b *bench) { acked(b, 1); b.settle(b.take(2), GivenBack); acked(b, 3) }, 2},
		"one was released":        {false, func(b *bench) { acked(b, 1); b.settle(b.take(2), Released); acked(b, 3) }, 2},
		"late acknowledgement":    {false, func(b *bench) { m := b.take(1); b.settle(m, Released); b.settle(m, Done) }, 2},
		"a delivery did not come": {false, func(b *bench) { acked(b, 1); b.number++; acked(b, 3) }, 1},
		"the first did not come":  {false, func(b *bench) { b.number += 2; acked(b, 3, 4) }, 1},
		"members of a group":      {true, func(b *bench) { acked(b, 1, 2, 4) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begun(t, Config{MaxInFlight: 8, Shared: tc.shared})
			tc.play(b)
			b.gone(stream)
			b.expect("error", fmt.Sprintf("create consumer from %d", tc.want))
		})
	}
}

// TestResumeWhereTheServerIs: what went elsewhere does not matter once the server says that
// it was acknowledged.
func TestResumeWhereTheServerIs(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	b.number++ // message 1 went elsewhere
	b.settle(b.take(2), Done)
	learn := func(floor uint64) {
		b.effects()
		b.now = b.now.Add(Heartbeat)
		b.m.Wake(b.now)
		b.expect("find consumer")
		info := theInfo
		info.AckFloor, info.Delivered, info.Deliveries = floor, 2, b.number
		b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	}
	learn(0)
	require.Equal(t, uint64(1), b.m.resumeAt())
	b.settle(b.take(3), Done)
	learn(2)
	require.Equal(t, uint64(4), b.m.resumeAt())
}

// TestResumeTwice: of a consumer that was created again, what the one before has delivered
// says nothing.
func TestResumeTwice(t *testing.T) {
	t.Parallel()
	stream := Stream{Created: simBegin, LastSequence: 100}
	b := begun(t, Config{MaxInFlight: 8})
	b.number++ // message 1 went elsewhere
	for sequence := uint64(2); sequence < 8; sequence++ {
		b.settle(b.take(sequence), Done)
	}
	b.gone(stream)
	b.expect("error", "create consumer from 1")
	b.m.ConsumerCreated(b.now, b.m.calls, theInfo, nil)
	first := b.m.round - 1
	b.number = 0
	b.settle(b.take(1), Done)
	_, handUp := b.m.Delivered(b.now, first, Message{Sequence: 9, ConsumerSequence: 9, Stored: simBegin, Reply: "late"})
	require.True(t, handUp)
	b.m.Settled(b.now, 1, 9, "late", Done)
	b.gone(stream)
	b.expect("error", "create consumer from 2")
}

// TestAnotherStream: of a stream that was made anew the consumer begins with all, and what is
// here of the old one is not acknowledged any more.
func TestAnotherStream(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	old := b.take(5)
	b.gone(Stream{Created: simBegin.Add(time.Second), LastSequence: 100})
	b.expect("create consumer from 0")
	require.False(t, b.m.Current(1))
	b.m.ConsumerCreated(b.now, b.m.calls, theInfo, nil)
	b.expect("open inbox", "pull 8")
	b.number = 0
	b.take(5)
	b.settle(old, Done)
	require.Equal(t, 1, b.m.held(), "message 5 is another one")
}

// TestAnotherMessage: a sequence that is here already, with another store time, shows that the stream is
// another one before the server was asked.
func TestAnotherMessage(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8, Shared: true})
	b.take(1)
	_, handUp := b.m.Delivered(b.now, 1, Message{Sequence: 1, ConsumerSequence: 1, Stored: simBegin.Add(time.Second), Reply: "new"})
	require.False(t, handUp)
	b.expect("find stream", "give back new")
	require.False(t, b.m.Current(1))
}

// TestStreamHoldsLess than before: its loss is told, and the consumer begins with all.
func TestStreamHoldsLess(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	b.settle(b.take(50), Done)
	b.gone(Stream{Created: simBegin, LastSequence: 20})
	b.expect("store lost", "create consumer from 0")
}

// TestConsumerMadeAnew by another member: the stream is looked at, too.
func TestConsumerMadeAnew(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8, Shared: true})
	b.m.Reconnected(b.now)
	b.expect("open inbox", "pull 8", "find consumer")
	b.m.ConsumerFound(b.now, b.m.calls, Info{Created: simBegin.Add(time.Second)}, false, nil)
	b.expect("find stream")
}

// TestDegraded: it is told when the consumer can't be found, once a minute, and when there is
// another cause; and taken back.
func TestDegraded(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8, BindOnly: true})
	b.m.Status(b.now, 1, "503", "", Unknown)
	fail := func(cause error) (told int) {
		b.expect("find stream")
		b.m.StreamFound(b.now, b.m.calls, Stream{Created: simBegin}, nil)
		b.expect("check consumer")
		b.m.ConsumerFound(b.now, b.m.calls, Info{}, true, cause)
		told = len(b.effects())
		b.now = b.m.Due()
		for b.m.Due().Equal(b.now) {
			b.m.Wake(b.now)
		}
		return told
	}
	told := 0
	for range 90 {
		told += fail(errTest)
	}
	require.Equal(t, 2, told)
	require.Equal(t, 1, fail(errors.New("it is another one")))
	require.Equal(t, 0, fail(errors.New("it is another one")))
	b.expect("find stream")
	b.m.StreamFound(b.now, b.m.calls, Stream{Created: simBegin}, nil)
	b.expect("check consumer")
	b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
	b.expect(transport.Recovered.String(), "open inbox", "pull 8")
}

// TestRoom: a message takes room until it is settled, given back or released.
func TestRoom(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 2, Shared: true})
	one, two := b.take(1), b.take(2)
	b.expect()
	b.settle(one, Released)
	b.expect("pull 1")
	b.settle(one, Released)
	b.expect()
	b.settle(two, GivenBack)
	b.expect("pull 1")

	again := b.take(1)
	b.settle(one, Released)
	require.Equal(t, 1, b.m.held(), "a later delivery is here")
	b.settle(one, Done)
	require.Zero(t, b.m.held(), "an earlier delivery was acknowledged: the message does not come again")
	b.settle(again, Done)
	require.Zero(t, b.m.held())
}

// TestStartable: of a consumer that delivers each message a limited number of times no more is
// asked for than can begin.
func TestStartable(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8, Startable: func() int { return 3 }, Room: func() int { return 8 }})
	info := sameConsumer(0)
	info.MaxDeliver = 2
	b.m.Look()
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	require.Equal(t, 3, b.m.room())
	require.False(t, b.m.Last(1))
	require.True(t, b.m.Last(2))
	require.True(t, b.m.Last(3), "it was lowered since")
	info.MaxDeliver = 0
	b.m.Look()
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	require.Equal(t, 8, b.m.room())
	require.False(t, b.m.Last(100))
}

// TestMoreThanRoom: what was asked for in an earlier round and comes nevertheless is given back.
func TestMoreThanRoom(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 1})
	b.m.Reconnected(b.now)
	b.effects()
	b.take(1)
	msg, handUp := b.deliver(2)
	require.False(t, handUp)
	b.expect("give back " + msg.Reply)
	require.Equal(t, uint64(1), b.m.resumeAt())
}

// TestStopAndClose: after Stop nothing is handed up, and Close gives back what is here, released
// or not.
func TestStopAndClose(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4, Shared: true})
	acked, held, released := b.take(1), b.take(2), b.take(3)
	b.m.Stop()
	b.m.Stop()
	b.expect("close inbox")
	late, handUp := b.deliver(4)
	require.False(t, handUp)
	b.expect("give back " + late.Reply)
	b.settle(acked, Done)
	b.settle(released, Released)
	b.m.InboxClosed()
	b.expect("drained")
	b.m.Close()
	b.expect("give back "+held.Reply, "give back "+released.Reply, "closed")
	require.Zero(t, b.m.Due())
	b.m.Reconnected(b.now)
	b.m.Wake(b.now.Add(time.Hour))
	b.expect()
}

// TestSilence: requests that the server says nothing about are lost.
func TestSilence(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4})
	for range 2 {
		b.now = b.m.Due()
		b.m.Wake(b.now)
		b.expect()
	}
	b.now = b.m.Due()
	b.m.Wake(b.now)
	b.expect("find consumer")
	b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
	b.expect("open inbox", "pull 4")
	b.m.Status(b.now, 1, "408", "Request Timeout", 4)
	b.expect()
}

// TestRefused: what the server refuses is asked again after a pause, with what it allows by then.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4})
	b.m.ask(false) // the answer to which is waited for
	b.expect("find consumer")
	b.m.Status(b.now, 1, "409", "Exceeded MaxRequestBatch of 2", Unknown)
	b.expect("warn")
	b.m.Status(b.now, 1, "409", "Exceeded MaxRequestBatch of 2", Unknown)
	b.expect()
	b.now = b.m.Due()
	b.m.Wake(b.now)
	b.expect()
	info := theInfo
	info.MaxBatch = 2
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	b.expect("open inbox", "pull 2", "pull 2")
	b.m.Status(b.now, 2, "409", "Leadership Change", Unknown)
	b.now = b.m.Due()
	b.m.Wake(b.now)
	b.expect("open inbox", "pull 2", "pull 2")
}

// TestReconnectedWhileAsking: a question that is out when the link goes is asked again at
// once, and what still comes to the earlier one is not used: neither its error nor its answer.
func TestReconnectedWhileAsking(t *testing.T) {
	t.Parallel()
	stream := Stream{Created: simBegin, LastSequence: 100}
	for name, tc := range map[string]struct {
		bindOnly bool
		ask      func(b *bench)
		lost     func(b *bench, call uint64, err error) // the answer to what was asked
	}{
		"for the stream": {false, func(*bench) {}, func(b *bench, call uint64, err error) {
			b.m.StreamFound(b.now, call, stream, err)
		}},
		"for the consumer": {false, func(b *bench) {
			b.m.StreamFound(b.now, b.m.calls, stream, nil)
			b.expect("find consumer")
		}, func(b *bench, call uint64, err error) { b.m.ConsumerFound(b.now, call, theInfo, false, err) }},
		"whether the consumer will do": {true, func(b *bench) {
			b.m.StreamFound(b.now, b.m.calls, stream, nil)
			b.expect("check consumer")
		}, func(b *bench, call uint64, err error) { b.m.ConsumerFound(b.now, call, theInfo, false, err) }},
		"to create the consumer": {false, func(b *bench) {
			b.m.StreamFound(b.now, b.m.calls, stream, nil)
			b.m.ConsumerFound(b.now, b.m.calls, Info{}, true, errTest)
			b.expect("find consumer", "error", "create consumer from 1")
		}, func(b *bench, call uint64, err error) { b.m.ConsumerCreated(b.now, call, theInfo, err) }},
		"nothing, for it pauses": {false, func(b *bench) {
			b.m.StreamFound(b.now, b.m.calls, Stream{}, errTest)
			b.expect("degraded")
		}, func(b *bench, call uint64, err error) { b.m.StreamFound(b.now, call, stream, err) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begun(t, Config{MaxInFlight: 8, BindOnly: tc.bindOnly})
			b.m.Status(b.now, b.m.round, "503", "", Unknown)
			b.expect("find stream")
			tc.ask(b)
			lost := b.m.calls
			b.m.Reconnected(b.now)
			b.expect("open inbox", "find stream")
			again := b.m.calls
			tc.lost(b, lost, errTest)
			tc.lost(b, lost, nil)
			b.expect()
			b.m.StreamFound(b.now, again, stream, nil)
			b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
			require.Contains(t, b.effects(), "pull 8")
		})
	}
	t.Run("for the consumer's state", func(t *testing.T) {
		t.Parallel()
		b := begun(t, Config{MaxInFlight: 8})
		b.m.ask(true)
		b.expect("find consumer")
		lost := b.m.calls
		b.m.Reconnected(b.now)
		b.expect("open inbox", "pull 8", "find consumer")
		b.m.ConsumerFound(b.now, lost, Info{}, true, errTest)
		b.expect()
		b.m.ConsumerFound(b.now, b.m.calls, theInfo, false, nil)
		b.expect()
	})
}

// TestNoConnectionIsNoReason: that nothing can be asked says nothing about the consumer.
func TestNoConnectionIsNoReason(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 8})
	b.m.Status(b.now, b.m.round, "503", "", Unknown)
	b.expect("find stream")
	b.m.StreamFound(b.now, b.m.calls, Stream{}, transport.ErrConnectionLost)
	b.expect()
	b.now = b.m.Due()
	b.m.Wake(b.now)
	b.expect("find stream")
	b.m.StreamFound(b.now, b.m.calls, Stream{}, errTest)
	b.expect("degraded")
}
