package publisher_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// rawOn returns a raw publisher to a broker in memory.
func rawOn(t *testing.T, b *memory.Broker) *publisher.Raw {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", "test", "", client.Transport(b.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	r, err := publisher.NewRaw(c)
	require.NoError(t, err)
	return r
}

func TestRawStoresTheMessageAsItIs(t *testing.T) {
	t.Parallel()
	m := publisher.Message{
		Subject: "dead.payments.order:created", ID: "letter 1", Data: []byte("not JSON"),
		Header: map[string][]string{"traceparent": {"00-1", "00-2"}, "ce-id": {"mine"}},
	}
	b := memory.New(memory.JetStream())
	require.NoError(t, rawOn(t, b).Publish(t.Context(), m))
	stored := b.Stored(string(m.Subject))
	require.Len(t, stored, 1)
	require.Equal(t, m.Data, stored[0].Data)
	require.Equal(t, transport.Header(m.Header), stored[0].Header)

	streaming := memory.New()
	plain := rawOn(t, streaming)
	require.NoError(t, plain.Publish(t.Context(), m), "what the broker can't carry is left out")
	require.Equal(t, m.Data, streaming.Stored(string(m.Subject))[0].Data)
	require.Empty(t, streaming.Stored(string(m.Subject))[0].Header)

	require.NoError(t, plain.Publish(t.Context(), publisher.Message{Subject: "empty"}))
	require.Empty(t, streaming.Stored("empty")[0].Data)
}

// TestRawIsDeduplicatedByTheCallersID, and without one each publish is stored.
func TestRawIsDeduplicatedByTheCallersID(t *testing.T) {
	t.Parallel()
	b := memory.New(memory.JetStream())
	r := rawOn(t, b)
	for range 2 {
		require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: "given", ID: "1"}))
		pending, err := r.PublishAsync(t.Context(), publisher.Message{Subject: "given", ID: "1"})
		require.NoError(t, err)
		require.NoError(t, pending.Wait(t.Context()))
		require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: "random"}))
	}
	require.Len(t, b.Stored("given"), 1)
	require.Len(t, b.Stored("random"), 2)
}

// TestRawLeavesTheHeaderToTheCaller: a connection adds to the headers it is given.
func TestRawLeavesTheHeaderToTheCaller(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{
		Declared: transport.Features{Headers: true},
		OnPublish: func(m transport.Message, r transport.Receipt) {
			m.Header["Nats-Expected-Stream"] = []string{"ticketing"}
			r.Done(nil)
		},
	}
	r, err := publisher.NewRaw(connect(t, conn))
	require.NoError(t, err)
	header := map[string][]string{"a": {"b"}}
	for range 2 {
		require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: "s", Header: header}))
	}
	require.Equal(t, map[string][]string{"a": {"b"}}, header)
}

func TestRawRefuses(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{Declared: transport.Features{Headers: true, Deduplicate: true}}
	r, err := publisher.NewRaw(connect(t, conn))
	require.NoError(t, err)
	header := func(name, value string) map[string][]string { return map[string][]string{name: {"fine", value}} }
	for text, m := range map[string]publisher.Message{
		"Subject of the message: invalid subject: the name is empty": {},
		"the wildcard '>' is not allowed":                            {Subject: "orders.>"},
		"the wildcard '*' is not allowed":                            {Subject: "orders.*"},
		"the character ' ' is not allowed":                           {Subject: "a b"},
		`header "a b": a name is printable ASCII`:                    {Subject: "s", Header: header("a b", "")},
		`header "": a name is printable ASCII`:                       {Subject: "s", Header: map[string][]string{"": nil}},
		"those that begin with Nats- are the server's":               {Subject: "s", Header: header("nats-Msg-Id", "1")},
		"header a: its value \"x\\ny\" holds a line break":           {Subject: "s", Header: header("a", "x\ny")},
		`message ID "1\n2": an ID is printable ASCII`:                {Subject: "s", ID: "1\n2"},
		`message ID " 1"`:                                            {Subject: "s", ID: " 1"},
	} {
		check := func(err error) {
			t.Helper()
			var typed *publisher.Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, m.Subject, typed.Subject)
			require.ErrorIs(t, err, publisher.ErrNotStored)
			require.ErrorIs(t, err, client.ErrInvalid)
			require.NotErrorIs(t, err, publisher.ErrOutcomeUnknown)
			require.ErrorContains(t, err, text)
		}
		check(r.Publish(t.Context(), m))
		_, err := r.PublishAsync(t.Context(), m)
		check(err)
	}
	require.Empty(t, conn.Published())

	for _, none := range []*publisher.Raw{nil, {}} {
		err := none.Publish(t.Context(), publisher.Message{Subject: "s"})
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorContains(t, err, "raw publisher: nil; make one with NewRaw")
	}
}

// TestRawKeepsThePromisesOfErrors of a typed publisher.
func TestRawKeepsThePromisesOfErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, &fakeconn.Conn{}, client.PublishWindow(2))
		r, err := publisher.NewRaw(c, publisher.Timeout(10*time.Second))
		require.NoError(t, err)
		m := publisher.Message{Subject: "s"}

		began := time.Now()
		err = r.Publish(t.Context(), m)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.EqualError(t, err, "publish s: outcome unknown: no confirmation from the server within 10s (option Timeout): context deadline exceeded")
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Publish(ctx, m), publisher.ErrOutcomeUnknown)
		require.ErrorIs(t, r.Publish(ctx, m), publisher.ErrNotStored, "its context had ended before")

		one, err := r.PublishAsync(t.Context(), m)
		require.NoError(t, err)
		_, err = r.PublishAsync(t.Context(), m)
		require.NoError(t, err)
		require.EqualError(t, one.Err(), "publish s: pending")
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.PublishAsync(ctx, m)
		require.ErrorIs(t, err, publisher.ErrNotStored, "the window is full")
		require.ErrorIs(t, one.Wait(t.Context()), publisher.ErrOutcomeUnknown)

		require.NoError(t, c.Close(t.Context()))
		require.ErrorIs(t, r.Publish(t.Context(), m), publisher.ErrClosed)
	})
}

func TestRawIsToldWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	r := rawOn(t, memory.New(memory.MaxPayload(10)))
	err := r.Publish(t.Context(), publisher.Message{Subject: "s", Data: []byte(strings.Repeat("x", 11))})
	require.ErrorIs(t, err, publisher.ErrTooLarge)
	require.ErrorIs(t, err, publisher.ErrNotStored)
}

// TestRawAndOptionsOfTypes: those given to NewRaw are refused, those of all publishers are
// passed over.
func TestRawAndOptionsOfTypes(t *testing.T) {
	t.Parallel()
	use := publisher.Use(func(publisher.Invocation) publisher.Invocation {
		return func(context.Context, events.Event, publisher.Publishing) error { return context.Canceled }
	})
	id := publisher.MessageID(func(e events.ExpirationComplete) string { return e.OrderID })
	c := connect(t, &fakeconn.Conn{})
	for text, opt := range map[string]publisher.Option{
		"option Codec: it needs a type of event":     publisher.Codec(codec.JSON{}),
		"option Use: it needs a type of event":       use,
		"option MessageID: it needs a type of event": id,
		"option: nil":                 nil,
		"option Timeout: 0s; must be": publisher.Timeout(0),
	} {
		_, err := publisher.NewRaw(c, opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "new raw publisher: ")
		require.ErrorContains(t, err, text)
	}
	_, err := publisher.NewRaw(nil)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "client: nil")

	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		r, err := publisher.NewRaw(connect(t, conn, publisher.Defaults(use, id, publisher.Codec(codec.JSON{}), publisher.Timeout(time.Second))))
		require.NoError(t, err)
		began := time.Now()
		require.ErrorIs(t, r.Publish(t.Context(), publisher.Message{Subject: subjects.OrderCreated}), publisher.ErrOutcomeUnknown)
		require.Equal(t, time.Second, time.Since(began), "what needs no type is not passed over")
		require.Len(t, conn.Published(), 1)
	})
}
