package publisher_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
)

var orderID = publisher.MessageID(func(e events.ExpirationComplete) string { return e.OrderID })

// TestMessageID is what the broker recognises the event by, and the event's ID in its
// headers.
func TestMessageID(t *testing.T) {
	t.Parallel()
	ticketID := publisher.MessageID(func(e events.TicketCreated) string { return e.ID })
	for name, opts := range map[string]struct {
		everyone []publisher.Option
		own      []publisher.Option
	}{
		"its own":                   {own: []publisher.Option{orderID}},
		"everyone's":                {everyone: []publisher.Option{orderID, ticketID}},
		"its own before everyone's": {everyone: []publisher.Option{publisher.MessageID(func(events.ExpirationComplete) string { return "x" })}, own: []publisher.Option{orderID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := &fakeconn.Conn{
				Declared:  transport.Features{Headers: true, Deduplicate: true},
				OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) },
			}
			var defaults []client.Option
			if opts.everyone != nil {
				defaults = []client.Option{publisher.Defaults(opts.everyone...)}
			}
			p, err := publisher.New[events.ExpirationComplete](connect(t, conn, defaults...), opts.own...)
			require.NoError(t, err)
			require.NoError(t, p.Publish(t.Context(), events.ExpirationComplete{OrderID: "order 1"}))
			pending, err := p.PublishAsync(t.Context(), events.ExpirationComplete{OrderID: "o2"})
			require.NoError(t, err)
			require.NoError(t, pending.Wait(t.Context()))
			sent := conn.Published()
			require.Equal(t, "order 1", sent[0].ID)
			require.Equal(t, []string{"order%201"}, sent[0].Header["ce-id"])
			require.Equal(t, "o2", sent[1].ID)
		})
	}
}

// TestMessageIDOfNone: an event for which the option has no ID gets a random one, also
// where the broker has no headers; and where the broker has no IDs, none is sent.
func TestMessageIDOfNone(t *testing.T) {
	t.Parallel()
	none := publisher.MessageID(func(events.ExpirationComplete) string { return "" })
	stored := func(_ transport.Message, r transport.Receipt) { r.Done(nil) }
	for _, features := range []transport.Features{{Deduplicate: true}, {Deduplicate: true, Headers: true}} {
		conn := &fakeconn.Conn{Declared: features, OnPublish: stored}
		p := expirations(t, conn, none)
		require.NoError(t, p.Publish(t.Context(), event))
		require.NoError(t, p.Publish(t.Context(), event))
		sent := conn.Published()
		require.NotEmpty(t, sent[0].ID)
		require.NotEqual(t, sent[0].ID, sent[1].ID)
	}
	conn := &fakeconn.Conn{OnPublish: stored}
	require.NoError(t, expirations(t, conn, orderID).Publish(t.Context(), event))
	require.Empty(t, conn.Published()[0].ID)
}

func TestMessageIDThatCantBe(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{}
	c := connect(t, conn)
	for text, opt := range map[string]publisher.Option{
		"option MessageID: nil": publisher.MessageID[events.ExpirationComplete](nil),
		"option MessageID: it is a func(events.TicketCreated) string, and the publisher's events are events.ExpirationComplete": publisher.MessageID(
			func(e events.TicketCreated) string { return e.ID }),
	} {
		_, err := publisher.New[events.ExpirationComplete](c, opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	err := expirations(t, conn, orderID).Publish(t.Context(), events.ExpirationComplete{OrderID: "a\nb"})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `message ID "a\nb"`)
	require.ErrorContains(t, err, "option MessageID")
	require.Empty(t, conn.Published())
}
