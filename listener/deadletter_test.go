package listener_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// TestDeadLetterComesFirst: as long as it can't be stored, the event stays
// unacknowledged, without being run again, and the client is degraded.
func TestDeadLetterComesFirst(t *testing.T) {
	t.Parallel()
	for _, outcome := range []error{
		errors.Join(transport.ErrNotStored, errors.New("too many channels")), transport.ErrOutcomeUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{}
			conn.OnPublish = func(_ transport.Message, r transport.Receipt) {
				if len(conn.Published()) < 3 {
					r.Done(outcome)
					return
				}
				time.AfterFunc(time.Second, func() { r.Done(nil) })
			}
			runs := 0
			b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error {
				runs++
				return listener.Reject(errNotToday)
			})
			one := b.deliver(1)
			synctest.Wait()
			status := b.client.Status()
			require.Equal(t, client.Degraded, status.State)
			require.Contains(t, status.Reasons[0].Text, "dead letters of expiration:complete (queue group expirations) can't be stored")
			if errors.Is(outcome, transport.ErrNotStored) {
				require.ErrorContains(t, status.Reasons[0].Err, "raise the server's limit (-mc, --max_channels)")
			}
			for len(conn.Published()) < 3 {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(800 * time.Millisecond)
			require.Zero(t, one.Acks(), "not before it is stored")
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, 1, one.Acks())
			require.Equal(t, client.Connected, b.client.Status().State)
			require.Equal(t, 1, runs)
			require.Equal(t, conn.Published()[0].Data, conn.Published()[2].Data, "the same dead letter, so that doubles are recognised")
			b.stop()
			require.NoError(t, <-b.ended)
		})
	}
}

// TestDeadLetterTooLarge leaves the event's data out: it stays in its channel.
func TestDeadLetterTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.MaxPayload(1000)))
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) })
		order := fmt.Sprintf("%0900d", 1)
		s.publish(order)
		synctest.Wait()
		letters := s.letters()
		require.Len(t, letters, 1)
		require.True(t, letters[0].Truncated)
		require.Equal(t, uint64(1), letters[0].Sequence)
		stop()
		s.close()
	})
}

// TestDeadLetterAtTheEnd: one that is not stored by the end of the drain leaves nothing
// behind: the event comes again, and the client is not degraded by who is not there.
func TestDeadLetterAtTheEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		reject := func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) }
		l, err := listener.New(s.client, "payments", reject, listener.DrainTimeout(time.Second))
		require.NoError(s, err)
		ctx, stop := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		s.publish("o1")
		s.broker.LoseAckOfNext() // the dead letter
		go func() { ended <- l.Listen(ctx) }()
		synctest.Wait()
		stop()
		err = <-ended
		require.ErrorIs(s, err, listener.ErrUnfinished)
		require.ErrorContains(s, err, "1 dead letter not stored (sequence 1)")
		synctest.Wait()
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Equal(s, 1, s.open())
		s.close()
	})
}

// TestListenerThatEndsWhileDegraded: the client is degraded no longer, and the log does not say
// that dead letters can be stored again.
func TestListenerThatEndsWhileDegraded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		reject := func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) }
		l, err := listener.New(s.client, "payments", reject, listener.AckWait(30*time.Second), listener.DrainTimeout(time.Second))
		require.NoError(s, err)
		ctx, stop := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		s.publish("o1")
		s.broker.LoseAckOfNext()
		go func() { ended <- l.Listen(ctx) }()
		time.Sleep(10100 * time.Millisecond)
		require.Equal(s, client.Degraded, s.client.Status().State)
		stop()
		require.NoError(s, <-ended)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Contains(s, s.log.String(), "no longer degraded")
		require.NotContains(s, s.log.String(), "recovered")
		s.close()
	})
}

// TestDeadLetterWithoutAnAnswer: after 10 s nobody waits for it any more; the client is
// degraded, the event stays, and its dead letter is stored once more.
func TestDeadLetterWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		runs := 0
		s.publish("o1")
		s.broker.LoseAckOfNext()
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error {
			runs++
			return listener.Reject(errNotToday)
		}, listener.AckWait(30*time.Second))
		time.Sleep(9900 * time.Millisecond)
		require.Equal(s, client.Connected, s.client.Status().State)
		time.Sleep(200 * time.Millisecond)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.ErrorIs(s, status.Reasons[0].Err, transport.ErrOutcomeUnknown)
		time.Sleep(10 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		for _, l := range s.letters() {
			require.Equal(s, s.letters()[0].ID, l.ID)
		}
		stop()
		require.Equal(s, 1, runs)
		require.Zero(s, s.open())
		s.close()
	})
}
