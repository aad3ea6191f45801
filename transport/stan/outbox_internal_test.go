package stan

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// put adds n publishes, whose data are their tickets.
func put(t *testing.T, o *outbox, n int) {
	t.Helper()
	for range n {
		data := []byte(strconv.Itoa(int(o.last) + 1))
		_, err := o.add(transport.Message{Subject: "c", Data: data}, transport.ReceiptFunc(func(error) {}))
		require.NoError(t, err)
		data[0] = '!' // the publisher has its buffer back
	}
}

// sends returns what goes out in that epoch.
func sends(o *outbox, epoch uint64) (all []string) {
	for l := o.next(epoch); l != nil; l = o.next(epoch) {
		all = append(all, string(l.data))
		o.written(l, false)
	}
	return all
}

func TestWhatWentIntoAConnectionThatIsGoneIsSentAgainInOrder(t *testing.T) {
	t.Parallel()
	var o outbox
	put(t, &o, 4)
	require.Equal(t, []string{"1", "2", "3", "4"}, sends(&o, 1))
	require.Empty(t, sends(&o, 1), "never on silence")
	o.settle(2)
	put(t, &o, 2)
	o.again()
	require.Equal(t, []string{"1", "3", "4", "5", "6"}, sends(&o, 2))
	require.True(t, o.current(1, 2))
	require.False(t, o.current(1, 1))
	require.False(t, o.current(2, 1), "it is settled")
}

func TestWhatWasRefusedIsTheNextToBeSent(t *testing.T) {
	t.Parallel()
	var o outbox
	put(t, &o, 2)
	l := o.next(1)
	o.written(l, true)
	_, left := o.settle(2)
	require.False(t, left)
	require.Equal(t, []string{"1"}, sends(&o, 2))

	// One that was sent before has left all the same.
	o.again()
	o.written(o.next(3), true)
	_, left = o.settle(1)
	require.True(t, left)
}

func TestALetterIsTheWritersUntilItIsWritten(t *testing.T) {
	t.Parallel()
	var o outbox
	put(t, &o, 1)
	l := o.next(1)
	r, left := o.settle(1)
	require.NotNil(t, r)
	require.True(t, left, "it may be on its way")
	require.Equal(t, "1", string(l.data), "the writer needs it")
	r, _ = o.settle(1)
	require.Nil(t, r, "settled once")
	o.again()
	require.Nil(t, o.next(2), "it is not sent again")
	o.written(l, true)
	require.Nil(t, o.next(2), "nor where it was refused")
	require.Empty(t, o.tickets())
}

func TestWhatIsSettledDoesNotPileUpInTheQueue(t *testing.T) {
	t.Parallel()
	var o outbox
	put(t, &o, 200)
	for ticket := transport.Ticket(1); ticket <= 199; ticket++ {
		o.settle(ticket)
		require.LessOrEqual(t, o.queue.Len(), max(200-int(ticket)+64, 2*(200-int(ticket))))
	}
	require.Equal(t, []string{"200"}, sends(&o, 1))
}
