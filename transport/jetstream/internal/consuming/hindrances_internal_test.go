package consuming

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestHindrances: each is told once, with what to do, and told to be over.
func TestHindrances(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, is := range map[string]Settings{
		"it is paused until 2026-01-02T03:04:05Z":  {Paused: true, PausedUntil: until},
		"remove the consumer's priority_groups":    {Priority: true},
		"its filter_subject is \"b\", not \"a\"":   {OtherFilter: "b"},
		"add it to the stream again":               {Lacks: true},
		"subject_transform is from \"a\" to \"b\"": {Transform: `from "a" to "b"`},
		"max_ack_pending is 3: raise it":           {AckPending: 3, MaxAckPending: 3},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			b := begunAt(t, Info{})
			b.now = b.now.Add(Heartbeat)
			info := Info{Settings: is, Pending: 1}
			told := b.looked(info)
			require.Len(t, told, 1)
			require.Equal(t, transport.Degraded, told[0].Kind)
			require.ErrorContains(t, told[0].Err, text)
			require.Contains(t, told[0].Reason, "events of a are ")
			require.Empty(t, b.looked(info), "it was told")
			b.now = b.now.Add(Heartbeat)
			b.m.Wake(b.now)
			require.Contains(t, b.effects(), "find consumer", "whether it is over is seen soon")
			b.m.ConsumerFound(b.now, b.m.calls, sameConsumer(0), false, nil)
			over := b.m.Effects(nil)
			require.Len(t, over, 1)
			require.Equal(t, transport.Event{Kind: transport.Recovered, Reason: told[0].Reason}, over[0].Event)

			b.looked(info)
			b.m.Stop()
			require.ErrorIs(t, b.m.Effects(nil)[0].Event.Err, transport.ErrClosed)
		})
	}
}

// TestNotHeldUp: max_ack_pending is no matter while messages come, or while there are none.
func TestNotHeldUp(t *testing.T) {
	t.Parallel()
	full := Info{Settings: Settings{AckPending: 3, MaxAckPending: 3}, Pending: 1}
	b := begunAt(t, Info{})
	b.now = b.now.Add(Heartbeat)
	b.take(1)
	full.Deliveries, full.Delivered, full.Stream.Last = 1, 1, 2
	require.Empty(t, b.looked(full))
	b.now = b.now.Add(Heartbeat)
	nothing := full
	nothing.Pending = 0
	require.Empty(t, b.looked(nothing))
	require.Len(t, b.looked(full), 1)
}

// TestOtherSubject: what is not of the subject is given back for a while, and the consumer is
// looked at.
func TestOtherSubject(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 1, Shared: true})
	_, handUp := b.m.Delivered(b.now, 1, Message{Sequence: 1, ConsumerSequence: 1, Reply: "r", OtherSubject: true})
	require.False(t, handUp)
	all := b.m.Effects(nil)
	require.Len(t, all, 3)
	require.Equal(t, Effect{Do: GiveBack, Reply: "r", Delay: notOfSubjectWait}, all[0])
	require.Equal(t, FindConsumer, all[1].Do)
	require.Equal(t, 1, all[2].Batch, "it takes no room")
}

// TestUseAckWait: the ack wait was changed at the server.
func TestUseAckWait(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 1})
	info := sameConsumer(0)
	info.AckWait = 100 * time.Millisecond
	b.m.Look()
	b.effects()
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	require.Equal(t, []Effect{{Do: UseAckWait, Delay: 100 * time.Millisecond}}, b.m.Effects(nil))
	require.Equal(t, 100*time.Millisecond, b.m.AckWait())
}
