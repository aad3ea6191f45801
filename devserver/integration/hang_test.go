package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

// TestHungHandlerStreaming: the only handler does not return, and events wait behind it.
func TestHungHandlerStreaming(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	var log lockedBuffer
	hungHandler[tag](t, connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil)))), &log, "2 events wait here")
}

// TestHungHandlerJetStream: the listener asks for no more than the handler has, so that what
// waits is at the server.
func TestHungHandlerJetStream(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	var log lockedBuffer
	hungHandler[tag](t, newStream(t).connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(&log, nil)))), &log, " at the server")
}

func hungHandler[Tag any](t *testing.T, c *client.Client, log *lockedBuffer, waits string) {
	t.Helper()
	events := watch(t, c)
	release, box := make(chan struct{}), newInbox()
	begun := make(chan struct{}, 1)
	// The first event hangs, so that the listener does not know yet how long handlers take.
	listen(t, c, group(), func(_ context.Context, e note[Tag], d listener.Delivery) error {
		if e.N == 1 && d.Attempt == 1 {
			begun <- struct{}{}
			<-release
		}
		box.put(e.N, d)
		return nil
	}, listener.StallTimeout(time.Second), listener.AckWait(2*time.Second))
	publish[Tag](t, c, 1)
	<-begun
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "handler has not returned for long") }, patience, 10*time.Millisecond)
	require.Equal(t, client.Connected, c.Status().State, "nothing waits")

	publishFrom[Tag](t, c, 2, 3)
	degraded, _ := events.until(t, client.EventDegraded)
	require.Contains(t, degraded.Reason, "no handler of "+string(note[Tag]{}.Subject()))
	require.ErrorContains(t, degraded.Err, "(sequence 1 for ")
	require.ErrorContains(t, degraded.Err, waits)
	require.NoError(t, c.Healthy(deadline(t)))
	close(release)
	recovered, _ := events.until(t, client.EventRecovered)
	require.Equal(t, degraded.Reason, recovered.Reason)
	require.NoError(t, recovered.Err)
	require.ElementsMatch(t, count(3), box.take(t, 3))
	require.Eventually(t, func() bool { return c.Status().State == client.Connected }, patience, 10*time.Millisecond)
}

// TestUndecodableStreaming: a service whose type has a wrong tag stops before it has emptied
// its subject, and the right one gets everything.
func TestUndecodableStreaming(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	undecodable[tag](t, connect(t), connect(t))
}

func TestUndecodableJetStream(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	undecodable[tag](t, s.connect(t, subject), s.connect(t, subject))
}

// mistaken has another type for what a note's number is.
type mistaken[Tag any] struct {
	N []string `json:"n"`
}

func (mistaken[Tag]) Subject() subjects.Subject { return note[Tag]{}.Subject() }

func undecodable[Tag any](t *testing.T, c, service *client.Client) {
	t.Helper()
	subject, g, events := note[Tag]{}.Subject(), group(), watch(t, c)
	publish[Tag](t, c, 40)
	wrong := func(c *client.Client, opts ...listener.Option) *listener.Listener[mistaken[Tag]] {
		l, err := listener.New(c, g, func(context.Context, mistaken[Tag], listener.Delivery) error { return nil }, opts...)
		require.NoError(t, err)
		return l
	}

	// One that goes on, and is degraded after 16.
	ctx, stop := context.WithCancel(deadline(t))
	defer stop()
	ended := make(chan error, 1)
	l := wrong(c)
	go func() { ended <- l.Listen(ctx) }()
	degraded, before := events.until(t, client.EventDegraded)
	require.Contains(t, degraded.Reason, "can't be decoded")
	require.ErrorIs(t, degraded.Err, listener.ErrUndecodable)
	require.ErrorContains(t, degraded.Err, "16 events in a row, the last with sequence ")
	stop()
	require.NoError(t, <-ended)
	counts := make(map[client.EventKind]int)
	for _, e := range before {
		require.Equal(t, subject, e.Subject)
		require.Equal(t, "undecodable", e.Reason)
		counts[e.Kind] += e.Count
	}
	_, rest := events.until(t, client.EventRecovered)
	for _, e := range rest {
		counts[e.Kind] += e.Count
	}
	n := counts[client.EventDeadLettered]
	require.GreaterOrEqual(t, n, 16)
	require.Equal(t, n, counts[client.EventUndecodable])
	require.Equal(t, client.Connected, c.Status().State)

	// One that ends its service at the second: one dead letter more.
	publishFrom[Tag](t, c, 41, 80)
	err := client.Run(deadline(t), service, wrong(service, listener.StopAfterUndecodable(2), listener.Concurrency(4)))
	require.ErrorIs(t, err, listener.ErrTooManyUndecodable)
	require.ErrorIs(t, err, listener.ErrUndecodable)

	result, err := deadletter.Redrive(deadline(t), c, g, subject)
	require.NoError(t, err)
	require.Equal(t, n+1, result.Redriven)
	box := newInbox()
	listen(t, c, g, into[Tag](box))
	require.ElementsMatch(t, count(80), box.take(t, 80), "nothing is lost")
}
