package listener_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

// TestOwnDeadLetters: a raw listener whose pattern takes in the dead letters that it makes
// is refused, since each would make another one.
func TestOwnDeadLetters(t *testing.T) {
	t.Parallel()
	c, err := client.Build(t.Context(), "c", "audit", "memory:", client.Transport(memory.New(memory.JetStream()).Dialer()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	reject := func(context.Context, []byte, listener.Delivery) error { return listener.Reject(context.Canceled) }
	for subject, refused := range map[subjects.Subject]bool{
		">": true, "dead.>": true, "dead.*.>": true, "*.>": true, "*.audit.>": true, "dead.audit.>": true,
		"dead.other.>": false, "orders.>": false, "*": false, "*.a": false, "dead.audit": false, "orders.created": false,
	} {
		_, err := listener.NewRaw(c, subject, "audit", reject)
		if !refused {
			require.NoError(t, err, subject)
			continue
		}
		require.ErrorIs(t, err, client.ErrInvalid, subject)
		require.ErrorContains(t, err, "NoDeadLetters", subject)
		_, err = listener.NewRaw(c, subject, "audit", reject, listener.NoDeadLetters())
		require.NoError(t, err, subject)
	}
}

// TestRawRunsCopies: an event that was stored on two subjects, or twice, is handed on each
// time, since a raw listener works with what is stored.
func TestRawRunsCopies(t *testing.T) {
	t.Parallel()
	c, err := client.Build(t.Context(), "c", "copies", "memory:", client.Transport(memory.New(memory.JetStream()).Dialer()))
	require.NoError(t, err)
	raw, err := publisher.NewRaw(c)
	require.NoError(t, err)
	header := map[string][]string{"ce-source": {"/tickets"}, "ce-id": {"1"}}
	for _, subject := range []subjects.Subject{"t.one", "t.two", "t.one"} {
		require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: subject, Header: header}))
	}
	runs := make(chan string, 3)
	l, err := listener.NewRaw(c, "t.*", "copies", func(_ context.Context, _ []byte, d listener.Delivery) error {
		runs <- string(d.Subject)
		return nil
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(ctx) }()
	require.Equal(t, []string{"t.one", "t.two", "t.one"}, []string{<-runs, <-runs, <-runs})
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, c.Close(context.Background()))
}

// TestDeadLetterOfALongSubject: with a pattern each event has a dead-letter subject of its
// own. One that can't be is not published: the event stays, and the client says why.
func TestDeadLetterOfALongSubject(t *testing.T) {
	t.Parallel()
	b := memory.New(memory.JetStream())
	c, err := client.Build(t.Context(), "c", "audit", "memory:", client.Transport(b.Dialer()))
	require.NoError(t, err)
	raw, err := publisher.NewRaw(c)
	require.NoError(t, err)
	long := subjects.Subject("t." + strings.Repeat("x", 248))
	require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: long, Data: []byte(`{}`)}))
	l, err := listener.NewRaw(c, "t.>", "a-group-with-a-name", func(context.Context, []byte, listener.Delivery) error {
		return listener.Reject(context.Canceled)
	})
	require.NoError(t, err)
	degraded := make(chan client.Event, 1)
	watch := c.Watch(t.Context())
	go func() {
		for e := range watch {
			if e.Kind == client.EventDegraded {
				degraded <- e
				return
			}
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(ctx) }()
	require.ErrorContains(t, (<-degraded).Err, "shorten the queue group's name or the event's subject, or use NoDeadLetters")
	require.Equal(t, []string{string(long)}, b.Subjects())
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, c.Close(context.Background()))
}
