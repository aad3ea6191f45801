package outbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

var errRefused = errors.New("refused")

func ignore(error) {}

// put adds n publishes, whose data are their tickets.
func put(t *testing.T, o *outbox.Outbox, n int) {
	t.Helper()
	for range n {
		data := []byte("?")
		ticket, err := o.Add(transport.Message{Subject: "c", Data: data}, transport.ReceiptFunc(ignore))
		require.NoError(t, err)
		data[0] = '!' // the publisher has its buffer back
		require.Positive(t, ticket)
	}
}

// sends returns the tickets of what goes out now.
func sends(o *outbox.Outbox) (all []transport.Ticket) {
	for p, _ := o.Next(time.Time{}); p != nil; p, _ = o.Next(time.Time{}) {
		if string(p.Message.Data) == "?" {
			all = append(all, p.Ticket())
		}
		o.Written(p, false)
	}
	return all
}

func connected() *outbox.Outbox {
	o := outbox.New(outbox.Policy{})
	o.Connected(false)
	return o
}

func TestUnansweredPublishesAreSentAgainInOrder(t *testing.T) {
	t.Parallel()
	o := outbox.New(outbox.Policy{})
	put(t, o, 4)
	require.Empty(t, sends(o), "there is no connection")
	o.Connected(false)
	require.Equal(t, []transport.Ticket{1, 2, 3, 4}, sends(o))
	require.Empty(t, sends(o), "nothing is sent twice over one connection")
	require.NoError(t, o.Stored(2, 1).Err())
	put(t, o, 2)
	o.Disconnected()
	require.Empty(t, sends(o))
	o.Connected(false)
	require.Equal(t, []transport.Ticket{1, 3, 4, 5, 6}, sends(o))
	require.True(t, o.Awaits(1, 2))
	require.False(t, o.Awaits(1, 1))
	require.False(t, o.Awaits(2, 1), "it is decided")
}

func TestLateAnswersAreAwaited(t *testing.T) {
	t.Parallel()
	o := connected()
	require.False(t, o.Connected(true), "nothing can be answered")
	put(t, o, 3)
	sends(o)
	o.Disconnected()
	put(t, o, 1)
	require.True(t, o.Connected(true))
	require.Empty(t, sends(o), "so that what is published stays in order")
	o.Stored(2, 1)
	require.True(t, o.GraceOver(), "one has come, and others may")
	require.False(t, o.GraceOver())
	require.Equal(t, []transport.Ticket{1, 3, 4}, sends(o))
	require.False(t, o.GraceOver(), "it is over")
	require.Empty(t, sends(o))
}

func TestAnUnsentPublishIsTheNextToBeSent(t *testing.T) {
	t.Parallel()
	o := connected()
	put(t, o, 2)
	p, _ := o.Next(time.Time{})
	o.Written(p, true)
	require.ErrorIs(t, o.Abandon(2).Err(), transport.ErrNotStored)
	require.Equal(t, []transport.Ticket{1}, sends(o))

	// One that was sent before has left all the same.
	o.Connected(false)
	p, _ = o.Next(time.Time{})
	o.Written(p, true)
	require.ErrorIs(t, o.Abandon(1).Err(), transport.ErrOutcomeUnknown)
}

func TestAPublishIsTheWritersUntilItIsWritten(t *testing.T) {
	t.Parallel()
	o := connected()
	put(t, o, 1)
	p, _ := o.Next(time.Time{})
	require.ErrorIs(t, o.Abandon(1).Err(), transport.ErrOutcomeUnknown, "it may be on its way")
	require.Equal(t, "?", string(p.Message.Data), "the writer needs it")
	require.False(t, o.Abandon(1).Decided(), "it is decided once")
	o.Connected(false)
	require.Empty(t, sends(o), "it is not sent again")
	o.Written(p, true)
	require.Empty(t, sends(o), "nor where it was not sent")

	put(t, o, 1)
	p, _ = o.Next(time.Time{})
	o.Connected(false) // while it is written: that was into the connection before
	require.Empty(t, sends(o))
	o.Written(p, false)
	require.Equal(t, []transport.Ticket{2}, sends(o))
}

func TestANegativeAnswerIsOfItsAttemptAlone(t *testing.T) {
	t.Parallel()
	o := connected()
	put(t, o, 2)
	sends(o)
	o.Connected(false)
	sends(o)
	require.False(t, o.NotStored(1, 1, errRefused).Decided(), "the second attempt is not answered")
	outcome := o.NotStored(1, 2, errRefused)
	require.ErrorIs(t, outcome.Err(), transport.ErrNotStored)
	require.ErrorIs(t, outcome.Err(), errRefused)

	require.False(t, o.Ambiguous(2, 1, errRefused).Decided())
	outcome = o.NotStored(2, 2, errRefused)
	require.ErrorIs(t, outcome.Err(), transport.ErrOutcomeUnknown)
	require.NotErrorIs(t, outcome.Err(), transport.ErrNotStored)
	require.ErrorIs(t, outcome.Err(), errRefused)
	require.False(t, o.NotStored(2, 2, errRefused).Decided(), "the answer comes twice")
}

// TestSettledPublishesDoNotPileUpInTheQueue: without a connection nobody takes them out.
func TestSettledPublishesDoNotPileUpInTheQueue(t *testing.T) {
	t.Parallel()
	o := outbox.New(outbox.Policy{})
	round := func() {
		for range 100 {
			ticket, err := o.Add(transport.Message{Subject: "c"}, transport.ReceiptFunc(ignore))
			require.NoError(t, err)
			o.Abandon(ticket)
		}
	}
	put(t, o, 1)
	for range 20 {
		round()
	}
	require.Less(t, o.Queued(), 200)
	o.Connected(false)
	require.Equal(t, []transport.Ticket{1}, sends(o))
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := connected()
		require.NoError(t, outbox.Drain(t.Context(), o.Empty(), o.Left), "nothing is pending")
		put(t, o, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := outbox.Drain(ctx, o.Empty(), o.Left)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "2 publishes not confirmed (2 of c)")

		o.Close(transport.ErrClosed)
		o.Close(errRefused)
		_, err = o.Add(transport.Message{}, nil)
		require.Equal(t, transport.ErrClosed, err)
		drained := make(chan error)
		empty := o.Empty()
		go func() { drained <- outbox.Drain(t.Context(), empty, o.Left) }()
		o.Stored(1, 1)
		synctest.Wait()
		select {
		case <-empty:
			require.Fail(t, "one is pending")
		default:
		}
		o.Abandon(2)
		require.NoError(t, <-drained)
	})
}
