package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

func TestManualAckLaterFromAnotherGoroutine(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, g := connect(t), group()
	deliveries := make(chan listener.Delivery, 10)
	l := listen(t, c, g, func(_ context.Context, _ note[tag], d listener.Delivery) error {
		deliveries <- d
		return nil
	}, listener.ManualAck(), listener.AckWait(time.Hour))
	publish[tag](t, c, 2)
	one, two := <-deliveries, <-deliveries
	acked := make(chan error)
	go func() { acked <- one.Ack() }()
	require.NoError(t, <-acked)
	require.ErrorIs(t, one.Ack(), listener.ErrSettled)
	require.ErrorIs(t, one.Nak(nil), listener.ErrSettled)

	// The drain waits for the second.
	l.stop()
	select {
	case err := <-l.ended:
		require.FailNow(t, "the drain did not wait for an event that is not settled", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, two.Ack())
	require.NoError(t, l.end(t))

	box := newInbox()
	publishFrom[tag](t, c, 3, 3)
	listen(t, c, g, into[tag](box))
	require.Equal(t, 3, box.next(t).n, "1 and 2 were acknowledged")
}

func TestAckAfterListenHasEnded(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, g, box := connect(t), group(), newInbox()
	l := listen(t, c, g, into[tag](box), listener.ManualAck(), listener.DrainTimeout(50*time.Millisecond))
	publish[tag](t, c, 1)
	d := box.next(t).delivery
	require.ErrorIs(t, l.end(t), listener.ErrUnfinished)
	require.ErrorIs(t, d.Ack(), listener.ErrSubscriptionClosed)
	listen(t, c, g, into[tag](box))
	require.Equal(t, 1, box.next(t).n, "it comes again")
}

func TestAckWithoutManualAck(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	errs := make(chan error, 2)
	listen(t, c, group(), func(_ context.Context, _ note[tag], d listener.Delivery) error {
		errs <- d.Ack()
		errs <- d.Nak(nil)
		return nil
	})
	publish[tag](t, c, 1)
	require.ErrorIs(t, <-errs, listener.ErrNotManual)
	require.ErrorIs(t, <-errs, listener.ErrNotManual)
}

// TestManualNak: given back, and so redelivered; so is what a handler with
// ManualAck returns an error for.
func TestManualNak(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, box := connect(t), newInbox()
	listen(t, c, group(), func(_ context.Context, e note[tag], d listener.Delivery) error {
		box.put(e.N, d)
		if d.Attempt == 1 {
			return d.Nak(context.Canceled)
		}
		return d.Ack()
	}, listener.ManualAck(), listener.AckWait(time.Second))
	publish[tag](t, c, 1)
	require.Equal(t, 1, box.next(t).delivery.Attempt)
	require.Equal(t, 2, box.next(t).delivery.Attempt)
}

func TestPanicLeavesTheEventForRedelivery(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	var log lockedBuffer
	c := connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	box := newInbox()
	listen(t, c, group(), func(_ context.Context, e note[tag], d listener.Delivery) error {
		if e.N == 1 && d.Attempt == 1 {
			panic("boom")
		}
		box.put(e.N, d)
		return nil
	}, listener.AckWait(time.Second))
	publish[tag](t, c, 3)
	require.Equal(t, []int{2, 3, 1}, box.take(t, 3))
	require.Contains(t, log.String(), "boom")
	require.Contains(t, log.String(), "TestPanicLeavesTheEventForRedelivery", "the stack")
	require.NotContains(t, log.String(), `\"n\":1`, "no payloads")
}

// raw is a codec that publishes any bytes.
type raw struct{ codec.JSON }

func (raw) Encode(v any) ([]byte, error) {
	t, _ := v.(interface{ text() string })
	return []byte(t.text()), nil
}

func (c raw) AppendEncode(_ []byte, v any) ([]byte, error) { return c.Encode(v) }

func (n note[Tag]) text() string { return n.Text }

func TestUndecodablePayloadDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	var log lockedBuffer
	c := connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	p, err := publisher.New[note[tag]](c, publisher.Codec(raw{}))
	require.NoError(t, err)
	for _, payload := range []string{"null", "", "{\"n\":", "{\"n\":\"one\"}", "{\"n\":1,\"text\":\"\xff\"}"} {
		require.NoError(t, p.Publish(deadline(t), note[tag]{Text: payload}))
	}
	publish[tag](t, c, 3)
	box := newInbox()
	listen(t, c, group(), into[tag](box))
	require.Equal(t, count(3), box.take(t, 3))
	require.Eventually(t, func() bool { return strings.Count(log.String(), "event given up, and stored as a dead letter") == 5 }, patience, 10*time.Millisecond)
	require.Contains(t, log.String(), "subject="+string(subject))
	require.Contains(t, log.String(), "sequence=5")
	require.Contains(t, log.String(), "not valid UTF-8")
}

// TestLateEventIsDroppedUnrun: 2 waits behind 1, whose handler takes longer than
// the ack wait. By the time it could begin it has been redelivered, so it is run
// for the redelivery alone.
func TestLateEventIsDroppedUnrun(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	var log lockedBuffer
	c := connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	g, box := group(), newInbox()
	started, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	slow := listen(t, c, g, func(_ context.Context, e note[tag], d listener.Delivery) error {
		if once.CompareAndSwap(false, true) {
			close(started)
			<-release
		}
		box.put(e.N, d)
		return nil
	}, listener.AckWait(2*time.Second))
	publish[tag](t, c, 1)
	<-started
	other := newInbox()
	publishFrom[tag](t, c, 2, 2) // to the only member there is
	listen(t, connect(t), g, into[tag](other), listener.AckWait(2*time.Second))
	require.Eventually(t, func() bool { return other.next(t).n == 2 }, patience, time.Millisecond,
		"redelivered after 2 s, to the other member")
	close(release)
	require.Equal(t, 1, box.next(t).n, "the late one is finished")
	require.NoError(t, slow.end(t))
	require.Empty(t, box.arrived, "2 must not run here: the other member has it")
}

func TestHandlerTimeoutAndValues(t *testing.T) {
	t.Parallel()
	type tag struct{}
	type key struct{}
	fresh[tag](t)
	c := connect(t)
	errs := make(chan error, 10)
	l, err := listener.New(c, group(), func(ctx context.Context, _ note[tag], d listener.Delivery) error {
		if ctx.Value(key{}) != "value" {
			errs <- context.Canceled
		}
		<-ctx.Done()
		errs <- ctx.Err()
		return nil
	}, listener.HandlerTimeout(50*time.Millisecond))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	ended := make(chan error)
	go func() { ended <- l.Listen(ctx) }()
	publish[tag](t, c, 1)
	require.ErrorIs(t, <-errs, context.DeadlineExceeded)
	stop()
	require.NoError(t, <-ended)
}
