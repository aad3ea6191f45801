package consuming

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is what the shell does to settle a message.
func (b *bench) answer(msg Message, outcome Outcome, delay time.Duration) {
	b.Helper()
	require.True(b, b.m.Answering(b.now, 1, Answer{Sequence: msg.Sequence, Reply: msg.Reply, Outcome: outcome, Text: []byte("+ACK"), Delay: delay}))
	b.settle(msg, outcome)
}

// foundAgain has the link come back and the machine ask for the consumer, whose state is info.
func (b *bench) foundAgain(info Info) []Effect {
	b.Helper()
	b.m.Reconnected(b.now)
	b.effects()
	b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
	return b.m.Effects(nil)
}

func sameConsumer(deliveries uint64) Info {
	info := theInfo
	info.Deliveries = deliveries
	return info
}

// TestAnswerAgain: after the link was lost acknowledgements are sent again, in their order, once the
// server has said that the consumer is the same.
func TestAnswerAgain(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4, Shared: true})
	first, second := b.take(1), b.take(2)
	b.answer(first, Done, 0)
	b.answer(second, Done, 0)
	b.effects()
	require.False(t, b.m.Unanswered(), "the link is there")
	b.m.Reconnected(b.now)
	require.NotContains(t, b.effects(), "send answer", "the consumer may be another one")
	for range 2 { // they may be lost once more
		all := b.foundAgain(sameConsumer(2))
		require.Len(t, all, 2)
		for i, msg := range []Message{first, second} {
			require.Equal(t, Effect{Do: SendAnswer, Reply: msg.Reply, Answer: []byte("+ACK")}, all[i])
		}
	}
	b.m.ConsumerFound(b.now, b.m.calls, sameConsumer(2), false, nil)
	b.expect()
}

// TestAnswerAgainAfterAnOlderAnswer: a message comes over the new link before the server's word on
// the consumer, which is from before. That shows no consumer that was put back.
func TestAnswerAgainAfterAnOlderAnswer(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4, Shared: true})
	b.answer(b.take(1), Done, 0)
	b.m.Reconnected(b.now)
	b.take(2)
	b.effects()
	b.m.ConsumerFound(b.now, b.m.calls, sameConsumer(1), false, nil)
	require.Contains(t, b.effects(), "send answer")
}

// TestAnswerAgainElsewhere: a consumer that was made anew, or put back to an earlier state, may
// have other messages under the sequences.
func TestAnswerAgainElsewhere(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]Info{
		"made anew": {Created: simBegin.Add(time.Second), AckWait: time.Second, Deliveries: 2},
		"put back":  sameConsumer(1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begun(t, Config{MaxInFlight: 4, Shared: true})
			b.take(1)
			b.answer(b.take(2), Done, 0)
			b.effects()
			for _, e := range b.foundAgain(info) {
				require.NotEqual(t, SendAnswer, e.Do)
			}
			if name == "made anew" {
				b.m.StreamFound(b.now, b.m.calls, Stream{Created: simBegin, LastSequence: 2}, nil)
				b.m.ConsumerFound(b.now, b.m.calls, info, false, nil)
				require.NotContains(t, b.effects(), "send answer")
			}
			for _, e := range b.foundAgain(info) {
				require.NotEqual(t, SendAnswer, e.Do, "they are forgotten")
			}
		})
	}
}

// TestAnswersThatCouldNotBeSent: the message does not come again then, and takes no memory.
func TestAnswersThatCouldNotBeSent(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 2})
	msg := b.take(1)
	require.True(t, b.m.Answering(b.now, 1, Answer{Sequence: 1, Reply: msg.Reply, Outcome: Done}))
	b.m.NotAnswered()
	b.settle(msg, Released)
	require.True(t, b.m.Unanswered())
	require.Len(t, b.m.unacked, 1)
	b.foundAgain(sameConsumer(1))
	require.Empty(t, b.m.unacked)
	require.Zero(t, b.m.awaiting)
	require.False(t, b.m.Answering(b.now, 2, Answer{Sequence: 1}), "another stream's")
}

// TestGiveBackAgain: a message is taken from no other member, and its delay is what is left
// of it.
func TestGiveBackAgain(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4, Shared: true})
	msg := b.take(1)
	b.answer(msg, GivenBack, 500*time.Millisecond)
	b.effects()
	b.now = b.now.Add(300 * time.Millisecond)
	require.Equal(t, []Effect{{Do: GiveBack, Reply: msg.Reply, Delay: 200 * time.Millisecond}}, b.foundAgain(sameConsumer(1)))
	b.now = b.now.Add(300 * time.Millisecond)
	require.Equal(t, []Effect{{Do: GiveBack, Reply: msg.Reply}}, b.foundAgain(sameConsumer(1)), "its delay has passed")
	b.now = b.now.Add(300 * time.Millisecond)
	require.Empty(t, b.foundAgain(sameConsumer(1)), "its ack wait has passed, or is about to")

	msg = b.take(2)
	b.answer(msg, GivenBack, 0)
	b.take(2) // it has come again
	require.Empty(t, b.foundAgain(sameConsumer(3)))
}

// TestAnswerAgainAtTheEnd: the machine of a subscription that has stopped asks nothing; the
// shell does.
func TestAnswerAgainAtTheEnd(t *testing.T) {
	t.Parallel()
	b := begun(t, Config{MaxInFlight: 4, Shared: true})
	msg := b.take(1)
	b.m.Stop()
	b.answer(msg, Done, 0)
	b.m.Reconnected(b.now)
	b.effects()
	require.True(t, b.m.Unanswered())
	b.m.AnswerAgain(b.now, sameConsumer(1))
	b.expect("send answer")
	require.False(t, b.m.Unanswered())
}
