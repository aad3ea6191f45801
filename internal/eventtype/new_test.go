package eventtype_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/eventtype"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

type (
	withChannel struct {
		Ready chan int `json:"ready"`
	}
	withInterface struct {
		Shape interface{ Area() float64 } `json:"shape"`
	}
	aList     []int
	withLarge struct {
		ID int64 `json:"id"`
	}
)

func (withChannel) Subject() subjects.Subject   { return "case.channel" }
func (withInterface) Subject() subjects.Subject { return "case.interface" }
func (aList) Subject() subjects.Subject         { return "case.list" }
func (withLarge) Subject() subjects.Subject     { return "case.large" }

func connect(t *testing.T, log *slog.Logger) *client.Client {
	t.Helper()
	conn := new(fakeconn.Conn)
	c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport(conn.Dialer()), client.Logger(log))
	require.NoError(t, err)
	return c
}

// opaque is a codec that knows what JSON does not.
type opaque struct{ codec.JSON }

func refused[T events.Event](t *testing.T, text string, publishes bool) {
	t.Helper()
	c := connect(t, slog.New(slog.DiscardHandler))
	handler := func(context.Context, T, listener.Delivery) error { return nil }
	_, err := publisher.New[T](c)
	if publishes {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	_, err = listener.New(c, "group", handler)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, text)

	_, err = publisher.New[T](c, publisher.Codec(opaque{}))
	require.NoError(t, err)
	_, err = listener.New(c, "group", handler, listener.Codec(opaque{}))
	require.NoError(t, err)
}

// TestNewRefusesTypesThatCantWork: publisher.New and listener.New name the field.
func TestNewRefusesTypesThatCantWork(t *testing.T) {
	t.Parallel()
	refused[withChannel](t, "event type eventtype_test.withChannel: field Ready is a chan int", false)
	refused[aList](t, "event type eventtype_test.aList: eventtype_test.aList is not a JSON object", false)
	refused[withInterface](t, "field Shape can't be read", true)
	require.NoError(t, eventtype.Encodes[events.TicketCreated](codec.JSON{}))
	require.NoError(t, eventtype.Decodes[events.DeadLetter](codec.JSON{}))
}

// TestPublisherLogsLargeIntegers with the client's logger.
func TestPublisherLogsLargeIntegers(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := connect(t, slog.New(slog.NewTextHandler(&log, nil)))
	p, err := publisher.New[withLarge](c)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		require.Error(t, p.Publish(ctx, withLarge{1<<53 + 1}))
	}
	require.Equal(t, 1, strings.Count(log.String(), "field=eventtype_test.withLarge.ID"), log.String())

	p, err = publisher.New[withLarge](c, publisher.Codec(codec.JSON{LargeIntegers: codec.RefuseLargeIntegers}))
	require.NoError(t, err)
	err = p.Publish(ctx, withLarge{1<<53 + 1})
	require.ErrorIs(t, err, publisher.ErrInvalidEvent)
	require.ErrorIs(t, err, codec.ErrLargeInteger)
}
