//go:build node

package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// interop is the queue group that gets the samples.
const interop = "interop-service"

// kind is what a test does with the samples of one type.
type kind struct {
	publish func(ctx context.Context, c *client.Client, all []events.Event) error // those of the type
	receive func(t *testing.T, c *client.Client, settled func(n int))             // n events of the type are there
}

var kinds = map[subjects.Subject]kind{
	subjects.TicketCreated:      kindOf[events.TicketCreated](),
	subjects.TicketUpdated:      kindOf[events.TicketUpdated](),
	subjects.OrderCreated:       kindOf[events.OrderCreated](),
	subjects.OrderCancelled:     kindOf[events.OrderCancelled](),
	subjects.ExpirationComplete: kindOf[events.ExpirationComplete](),
	subjects.PaymentCreated:     kindOf[events.PaymentCreated](),
}

func kindOf[T events.Event]() kind {
	return kind{
		publish: func(ctx context.Context, c *client.Client, all []events.Event) error {
			p, err := publisher.New[T](c)
			if err != nil {
				return err
			}
			_, err = p.PublishAll(ctx, slices.Values(of[T](all)))
			return err
		},
		receive: func(t *testing.T, c *client.Client, settled func(n int)) {
			t.Helper()
			want := of[T](fromNode)
			var got collection[T]
			l := listenWithClient(t, c, interop, func(_ context.Context, e T, d listener.Delivery) error {
				assert.Equal(t, 1, d.Attempt)
				got.add(e)
				return nil
			})
			got.await(t, len(want))
			settled(len(want))
			l.leave(t)
			assert.Equal(t, want, got.list())
		},
	}
}

// requireSamples makes a new event of the catalogue fail the tests until it has
// samples in both languages.
func requireSamples(t *testing.T) {
	t.Helper()
	for _, e := range events.Catalogue() {
		require.Contains(t, kinds, e.Subject())
		require.True(t, slices.ContainsFunc(shared, func(s events.Event) bool { return s.Subject() == e.Subject() }), "no samples of %s", e.Subject())
	}
}

func TestNodeReadsWhatGoPublishes(t *testing.T) {
	t.Parallel()
	requireSamples(t)
	srv := serve(t)
	c := connect(t, srv, "go-publisher")
	args := []string{"--group", interop, "--samples"}
	require.NoError(t, publishAll(deadline(t), c, fromGo)) // before there is anybody to listen
	for subject := range kinds {
		args = append(args, string(subject))
	}

	var got collection[arrival]
	l := listenFromNode(t, srv, "node-listener", got.add, args...)
	got.await(t, len(fromGo))
	for subject := range kinds {
		n := 0
		for _, e := range fromGo {
			if e.Subject() == subject {
				n++
			}
		}
		awaitSettled(t, srv, subject, uint64(n))
	}
	l.leave(t)

	all := got.list()
	assert.Len(t, all, len(fromGo))
	for _, a := range all {
		assert.Empty(t, a.Problem, "%s %d", a.Subject, a.Sequence)
		assert.False(t, a.Redelivered, "%s %d", a.Subject, a.Sequence)
	}
}

func TestGoReadsWhatNodePublishes(t *testing.T) {
	t.Parallel()
	requireSamples(t)
	srv := serve(t)
	require.Equal(t, len(fromNode), publishFromNode(t, srv, []string{"--samples"}))
	for subject, kind := range kinds {
		t.Run(string(subject), func(t *testing.T) {
			t.Parallel()
			c := connect(t, srv, strings.ReplaceAll(string(subject), ":", "-"))
			kind.receive(t, c, func(n int) { awaitSettled(t, srv, subject, uint64(n)) })
		})
	}
}
