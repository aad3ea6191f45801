package integration_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener"
)

func TestDurableGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, g, box := connect(t), group(), newInbox()
	publish[tag](t, c, 5)
	l := listen(t, c, g, into[tag](box))
	require.Equal(t, count(5), box.take(t, 5))
	require.NoError(t, l.end(t))

	publishFrom[tag](t, c, 6, 9) // while nobody listens

	other := connect(t) // of a group, the durable is not the client's
	listen(t, other, g, into[tag](box))
	require.Equal(t, countFrom(6, 9), box.take(t, 4))
}

func TestDurableWithoutGroupGoesOnUnderTheSameClientID(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	id, box := "test-"+group(), newInbox()
	first := connectAs(t, id)
	publish[tag](t, first, 3)
	l := listen(t, first, "", into[tag](box), listener.DurableName("mine"))
	require.Equal(t, count(3), box.take(t, 3))
	require.NoError(t, l.end(t))
	publishFrom[tag](t, first, 4, 5)
	closeClient(t, first)

	listen(t, connectAs(t, id), "", into[tag](box), listener.DurableName("mine"))
	require.Equal(t, []int{4, 5}, box.take(t, 2))
}

func TestEphemeralBeginsAnew(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, box := connect(t), newInbox()
	publish[tag](t, c, 3)
	for _, g := range []string{"", group()} { // alone, and as a group
		for range 2 {
			l := listen(t, c, g, into[tag](box), listener.Ephemeral())
			require.Equal(t, count(3), box.take(t, 3))
			require.NoError(t, l.end(t))
		}
	}
}

func TestEmptyGroupGetsEveryEvent(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	one, two := newInbox(), newInbox()
	listen(t, c, "", into[tag](one))
	listen(t, c, "", into[tag](two))
	publish[tag](t, c, 10)
	require.Equal(t, count(10), one.take(t, 10))
	require.Equal(t, count(10), two.take(t, 10))
}

func TestTwoGroupsAreIndependent(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	one, two := newInbox(), newInbox()
	listen(t, c, group(), into[tag](one))
	listen(t, c, group(), into[tag](two))
	publish[tag](t, c, 10)
	require.Equal(t, count(10), one.take(t, 10))
	require.Equal(t, count(10), two.take(t, 10))
}

func TestTwoMembersShare(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g, box := group(), newInbox()
	var counts [2]atomic.Int64
	for i := range counts {
		listen(t, connect(t), g, func(_ context.Context, e note[tag], d listener.Delivery) error {
			counts[i].Add(1)
			box.put(e.N, d)
			return nil
		})
	}
	const n = 500
	publish[tag](t, connect(t), n)
	all := box.take(t, n)
	slices.Sort(all)
	require.Equal(t, count(n), all, "each once")
	require.Positive(t, counts[0].Load())
	require.Positive(t, counts[1].Load())
}

// TestUnacknowledgedGoesToTheOtherMember: what one member fails on, the other gets
// after the ack wait, marked redelivered. It is that one's first attempt.
func TestUnacknowledgedGoesToTheOtherMember(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := group()
	failed, handled := newInbox(), newInbox()
	wait := listener.AckWait(time.Second)
	listen(t, connect(t), g, func(_ context.Context, e note[tag], d listener.Delivery) error {
		failed.put(e.N, d)
		return errors.New("not today")
	}, wait)
	listen(t, connect(t), g, into[tag](handled), wait)
	publish[tag](t, connect(t), 20)

	seen := map[int]got{}
	for len(seen) < 20 {
		one := handled.next(t)
		seen[one.n] = one
	}
	first := failed.next(t)
	require.Equal(t, 1, first.delivery.Attempt)
	require.False(t, first.delivery.Redelivered)
	again := seen[first.n].delivery
	require.True(t, again.Redelivered)
	require.Equal(t, 1, again.Attempt)
	require.GreaterOrEqual(t, again.Deliveries, 2)
	require.Equal(t, first.delivery.Sequence, again.Sequence)
	require.Equal(t, first.delivery.Timestamp, again.Timestamp)
	require.GreaterOrEqual(t, seen[first.n].at.Sub(first.at), 900*time.Millisecond)
}

// TestLeavingGivesBack: what a member has not handled when it leaves goes to the
// others at once, not after the ack wait.
func TestLeavingGivesBack(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g, box := group(), newInbox()
	const long = time.Hour
	running := make(chan struct{}, 10)
	leaver := listen(t, connect(t), g, func(ctx context.Context, _ note[tag], _ listener.Delivery) error {
		running <- struct{}{}
		<-ctx.Done() // it does not finish
		return ctx.Err()
	}, listener.AckWait(long), listener.MaxInFlight(10), listener.DrainTimeout(100*time.Millisecond))
	publish[tag](t, connect(t), 10)
	<-running // 1 runs, 2 to 10 wait behind it
	listen(t, connect(t), g, into[tag](box), listener.AckWait(long))

	require.ErrorIs(t, leaver.end(t), listener.ErrUnfinished)
	all := box.take(t, 10)
	slices.Sort(all)
	require.Equal(t, count(10), all)
}

func TestMaxInFlight(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	box := newInbox()
	var mu sync.Mutex
	var open []listener.Delivery
	listen(t, c, group(), func(_ context.Context, e note[tag], d listener.Delivery) error {
		mu.Lock()
		open = append(open, d)
		mu.Unlock()
		box.put(e.N, d)
		return nil
	}, listener.ManualAck(), listener.MaxInFlight(3), listener.AckWait(time.Hour))
	publish[tag](t, c, 10)
	require.Equal(t, count(3), box.take(t, 3))
	// The server has answered a request that came behind all it could have sent.
	publishFrom[tag](t, c, 11, 11)
	require.Empty(t, box.arrived, "more than MaxInFlight")

	for n := 4; n <= 11; n++ { // each acknowledgement makes room for one
		mu.Lock()
		d := open[n-4]
		mu.Unlock()
		require.NoError(t, d.Ack())
		require.Equal(t, n, box.next(t).n)
	}
	for _, d := range open[8:] {
		require.NoError(t, d.Ack())
	}
}

// TestConcurrency: as many handlers run side by side; that no more do is for the
// tests of package listener.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	running, release := make(chan struct{}, 4), make(chan struct{})
	listen(t, c, group(), func(context.Context, note[tag], listener.Delivery) error {
		running <- struct{}{}
		<-release
		return nil
	}, listener.Concurrency(4))
	defer close(release)
	publish[tag](t, c, 4)
	for range 4 {
		select {
		case <-running:
		case <-time.After(patience):
			require.FailNow(t, "four handlers did not run at a time")
		}
	}
}

func TestCloseKeepsTheDurableAndDeleteDropsIt(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g, box := group(), newInbox()
	first := connect(t)
	publish[tag](t, first, 3)
	listen(t, first, g, into[tag](box))
	require.Equal(t, count(3), box.take(t, 3))
	closeClient(t, first) // ends the listener, too

	c := connect(t)
	publishFrom[tag](t, c, 4, 4)
	l, err := listener.New(c, g, into[tag](box))
	require.NoError(t, err)
	running := begin(t, l)
	require.Equal(t, 4, box.next(t).n, "kept")
	require.ErrorIs(t, l.DeleteDurable(deadline(t)), listener.ErrListening)
	require.NoError(t, running.end(t))

	require.NoError(t, l.DeleteDurable(deadline(t)))
	require.NoError(t, l.DeleteDurable(deadline(t)), "there is none any more")
	begin(t, l)
	require.Equal(t, count(4), box.take(t, 4), "dropped")
}

// TestDeleteDurableWithAnotherMember: the server keeps it, and loses nothing.
func TestDeleteDurableWithAnotherMember(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g, box := group(), newInbox()
	c := connect(t)
	member := listen(t, connect(t), g, into[tag](box))
	publish[tag](t, c, 3)
	require.Equal(t, count(3), box.take(t, 3))
	l, err := listener.New(c, g, into[tag](box))
	require.NoError(t, err)
	require.NoError(t, l.DeleteDurable(deadline(t)))
	require.NoError(t, member.end(t))
	publishFrom[tag](t, c, 4, 4)
	begin(t, l)
	require.Equal(t, 4, box.next(t).n, "the group went on where it stood")
}
