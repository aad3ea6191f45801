package publishing_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

func newSender(conn *fakeconn.Conn, timeout time.Duration) *publishing.Sender {
	conn.Dialer()
	return publishing.NewSender(publishing.Config{
		Conn: conn, Window: publishing.NewWindow(4), Log: slog.New(slog.DiscardHandler), Timeout: timeout,
	})
}

// TestSenderWithoutTimeout: contexts alone bound the waits, and nothing bounds an
// asynchronous publish until somebody gives up on it.
func TestSenderWithoutTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(&fakeconn.Conn{}, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		err := s.Publish(ctx, transport.Message{Subject: "s"})
		require.Equal(t, time.Hour, time.Since(began))
		require.ErrorIs(t, err, transport.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		var told []error
		p := &publishing.Pending{OnDecided: transport.ReceiptFunc(func(err error) { told = append(told, err) })}
		require.NoError(t, s.PublishAsync(t.Context(), transport.Message{Subject: "s"}, p))
		time.Sleep(time.Hour)
		decided, _ := p.Outcome()
		require.False(t, decided)
		why := errors.New("the pass is over")
		p.GiveUp(why)
		<-p.Done()
		_, err = p.Outcome()
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, transport.ErrOutcomeUnknown)
		require.Equal(t, []error{err}, told)
		require.Zero(t, s.Window.InFlight())
	})
}

// TestPendingThatWasNotPublished can be given up, and published later.
func TestPendingThatWasNotPublished(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
	s := newSender(conn, time.Second)
	var p publishing.Pending
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.PublishAsync(ended, transport.Message{Subject: "s"}, &p), transport.ErrNotStored)
	p.GiveUp(errors.New("never sent"))
	require.NoError(t, s.PublishAsync(t.Context(), transport.Message{Subject: "s"}, &p))
	decided, err := p.Outcome()
	require.True(t, decided)
	require.NoError(t, err)
	require.Len(t, conn.Published(), 1)
}

// TestDeadlinesOfMany: each asynchronous publish is abandoned at its own deadline, whichever
// of them were decided meanwhile, and a Pending that is used again has a deadline of its own.
func TestDeadlinesOfMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		s := newSender(conn, 10*time.Second)
		pending := make([]publishing.Pending, 4)
		for i := range pending {
			require.NoError(t, s.PublishAsync(t.Context(), transport.Message{Subject: "s"}, &pending[i]))
			time.Sleep(time.Second)
		}
		began := time.Now().Add(-4 * time.Second)
		conn.Settle(1, nil) // the first
		conn.Settle(3, nil) // one in the middle
		conn.Settle(4, nil) // the last
		pending[2].Reset()
		require.NoError(t, s.PublishAsync(t.Context(), transport.Message{Subject: "s"}, &pending[2]))
		<-pending[1].Done()
		require.Equal(t, 11*time.Second, time.Since(began))
		<-pending[2].Done()
		require.Equal(t, 14*time.Second, time.Since(began))
		for _, i := range []int{1, 2} {
			_, err := pending[i].Outcome()
			require.ErrorIs(t, err, transport.ErrOutcomeUnknown)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.Zero(t, s.Window.InFlight())
	})
}

// TestWhatTheBrokerCantCarry is left out.
func TestWhatTheBrokerCantCarry(t *testing.T) {
	t.Parallel()
	for _, f := range []transport.Features{{}, {Headers: true}, {Deduplicate: true}} {
		conn := &fakeconn.Conn{Declared: f, OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
		s := newSender(conn, time.Second)
		require.NoError(t, s.Publish(t.Context(), transport.Message{Subject: "s", ID: "1", Header: transport.Header{"a": {"b"}}}))
		require.NoError(t, s.Publish(t.Context(), transport.Message{Subject: "s"}))
		sent := conn.Published()
		require.Equal(t, f.Headers, sent[0].Header != nil)
		require.Equal(t, f.Deduplicate, sent[0].ID == "1")
		require.Equal(t, f.Deduplicate, sent[1].ID != "", "a random one, so that what the connection sends again is recognised")
	}
}
