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
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// kind is what a test does with the samples of one type.
type kind struct {
	publish func(ctx context.Context, c *client.Client, all []events.Event) error // those of the type
	receive func(t *testing.T, srv *devserver.Server)
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
		receive: func(t *testing.T, srv *devserver.Server) {
			t.Helper()
			want := of[T](fromNode)
			var got collection[T]
			var zero T
			l := listenFromGo(t, srv, strings.ReplaceAll(string(zero.Subject()), ":", "-"), "interop-service", func(_ context.Context, e T, d listener.Delivery) error {
				assert.Equal(t, 1, d.Attempt)
				got.add(e)
				return nil
			})
			got.await(t, len(want))
			awaitSettled(t, srv, zero.Subject(), uint64(len(want)), 0)
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
	args := []string{"--group", "interop-service", "--samples"}
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
		awaitSettled(t, srv, subject, uint64(n), 0)
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
			kind.receive(t, srv)
		})
	}
}
