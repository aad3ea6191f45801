package integration_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

func TestPublishStores(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1, Text: "one"}))

	pending, err := p.PublishAsync(deadline(t), note[tag]{N: 2})
	require.NoError(t, err)
	require.NoError(t, pending.Wait(deadline(t)))
	require.NoError(t, pending.Err())
	<-pending.Done()

	stored, err := p.PublishAll(deadline(t), slices.Values([]note[tag]{{N: 3}, {N: 4}}))
	require.NoError(t, err)
	require.Equal(t, 2, stored)

	box := newInbox()
	listen(t, connect(t), group(), func(_ context.Context, e note[tag], d listener.Delivery) error {
		if e.N == 1 {
			require.Equal(t, "one", e.Text)
			require.Equal(t, e.Subject(), d.Subject)
			require.WithinDuration(t, time.Now(), d.Timestamp, time.Minute)
			require.Nil(t, d.Header)
		}
		box.put(e.N, d)
		return nil
	})
	for n := 1; n <= 4; n++ {
		g := box.next(t)
		require.Equal(t, n, g.n)
		require.Equal(t, uint64(n), g.delivery.Sequence)
	}
}

func TestManyPublishersShareOneClient(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t, client.PublishWindow(8))
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	const writers, each = 16, 100
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				if err := p.Publish(context.Background(), note[tag]{N: w*each + i + 1}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range writers {
		require.NoError(t, <-errs)
	}
	box := newInbox()
	listen(t, c, group(), into[tag](box), listener.MaxInFlight(1024))
	all := box.take(t, writers*each)
	slices.Sort(all)
	require.Equal(t, count(writers*each), all)
}

// TestRefusedBeforeSending: each error says the subject and what is wrong, and
// the channel stays empty.
func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	c := connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	orders, err := publisher.New[events.OrderCreated](c)
	require.NoError(t, err)
	good := events.OrderCreated{
		ID: "o1", Status: events.OrderStatusCreated, UserID: "u1", ExpiresAt: time.Now(),
		Ticket: events.OrderedTicket{ID: "t1", Price: 20},
	}
	price := func(v float64) events.OrderCreated { e := good; e.Ticket.Price = v; return e }
	text := func(s string) events.OrderCreated { e := good; e.UserID = s; return e }
	ctx := deadline(t)

	for name, test := range map[string]struct {
		err  error
		is   error
		text []string
	}{
		"too large": {
			p.Publish(ctx, note[tag]{Text: strings.Repeat("x", 2<<20)}), publisher.ErrTooLarge,
			[]string{string(subject), "payload of 2097169 bytes", "the server takes 1048"},
		},
		"not UTF-8":        {p.Publish(ctx, note[tag]{Text: "a\xff"}), publisher.ErrInvalidEvent, []string{string(subject), "/text", "UTF-8"}},
		"not UTF-8, order": {orders.Publish(ctx, text("\xff")), publisher.ErrInvalidEvent, []string{"order:created", "/userId", "UTF-8"}},
		"NaN":              {orders.Publish(ctx, price(math.NaN())), publisher.ErrInvalidEvent, []string{"order:created", "ticket.price: NaN is not a finite number"}},
		"infinite":         {orders.Publish(ctx, price(math.Inf(1))), publisher.ErrInvalidEvent, []string{"ticket.price: +Inf is not a finite number"}},
		"negative":         {orders.Publish(ctx, price(-1)), publisher.ErrInvalidEvent, []string{"ticket.price: -1 is negative"}},
		"empty":            {orders.Publish(ctx, events.OrderCreated{}), publisher.ErrInvalidEvent, []string{"id: is empty", "status: \"\" is none of", "expiresAt: is not set"}},
	} {
		require.ErrorIs(t, test.err, publisher.ErrNotStored, name)
		require.ErrorIs(t, test.err, test.is, name)
		require.NotErrorIs(t, test.err, publisher.ErrOutcomeUnknown, name)
		var typed *publisher.Error
		require.ErrorAs(t, test.err, &typed, name)
		for _, text := range test.text {
			require.ErrorContains(t, test.err, text, name)
		}
	}

	require.NoError(t, p.Publish(ctx, note[tag]{N: 1}))
	box := newInbox()
	listen(t, c, group(), into[tag](box))
	require.Equal(t, uint64(1), box.next(t).delivery.Sequence, "nothing was stored before")
}

// TestLargestPayload: just as much as the server takes goes through, and out again.
func TestLargestPayload(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	fits, tooLarge := 1<<20-1000, 1<<20
	for tooLarge-fits > 1 {
		size := (fits + tooLarge) / 2
		if err := p.Publish(deadline(t), note[tag]{Text: strings.Repeat("x", size)}); err == nil {
			fits = size
			continue
		}
		require.ErrorIs(t, p.Publish(deadline(t), note[tag]{Text: strings.Repeat("x", size)}), publisher.ErrTooLarge)
		tooLarge = size
	}
	got := make(chan int, 100)
	listen(t, c, group(), func(_ context.Context, e note[tag], _ listener.Delivery) error {
		got <- len(e.Text)
		return nil
	})
	require.Eventually(t, func() bool { return <-got == fits }, patience, time.Millisecond, "stored, and delivered")
}

func TestPublishAllStopsAtTheFirstInvalidEvent(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	asked := 0
	stored, err := p.PublishAll(deadline(t), func(yield func(note[tag]) bool) {
		for i := 1; i <= 100; i++ {
			asked = i
			e := note[tag]{N: i}
			if i == 50 {
				e.Text = "\xff"
			}
			if !yield(e) {
				return
			}
		}
	})
	require.ErrorIs(t, err, publisher.ErrInvalidEvent)
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.Equal(t, 49, stored)
	require.Equal(t, 50, asked, "no more were asked for")
}

func TestPublishWithAContextThatIsDone(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	p, err := publisher.New[note[tag]](connect(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("shutting down")
	cancel(cause)
	err = p.Publish(ctx, note[tag]{})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, err, cause)
	_, err = p.PublishAsync(ctx, note[tag]{})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	stored, err := p.PublishAll(ctx, slices.Values([]note[tag]{{}}))
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.Zero(t, stored)
}

// TestServerRefuses: the server's own answer, with what it means.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.MaxChannels(1))
	type one struct{}
	type two struct{}
	fresh[one](t)
	fresh[two](t)
	c := s.connect(t)
	publish[one](t, c, 1)
	p, err := publisher.New[note[two]](c)
	require.NoError(t, err)
	err = p.Publish(deadline(t), note[two]{})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, "too many channels; raise the server's limit of channels (-mc")

	channels.Store(two{}, subjects.Subject(strings.ToUpper(string(note[one]{}.Subject()))))
	p, err = publisher.New[note[two]](c)
	require.NoError(t, err)
	err = p.Publish(deadline(t), note[two]{})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, "rejecting channel")
}

// TestPublishWhileTheServerIsAway: refused at once, as not stored; and stored once
// the server is back.
func TestPublishWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	dir := t.TempDir()
	s := startServer(t, devserver.StoreDir(dir))
	c := s.connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1}))
	require.NoError(t, s.server.Restart())

	// During the restart a publish may fail, but says what it did.
	require.Eventually(t, func() bool {
		err := p.Publish(deadline(t), note[tag]{N: 2})
		if err != nil {
			require.NotEqual(t, errors.Is(err, publisher.ErrNotStored), errors.Is(err, publisher.ErrOutcomeUnknown), err)
		}
		return err == nil
	}, patience, 10*time.Millisecond)
	box := newInbox()
	listen(t, c, group(), into[tag](box))
	require.Equal(t, []int{1, 2}, box.take(t, 2))
}
