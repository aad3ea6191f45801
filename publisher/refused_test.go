package publisher_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// regional is an event whose subject depends on its value.
type regional struct {
	Region string `json:"region"`
}

func (r regional) Subject() subjects.Subject {
	if r.Region == "nowhere" {
		panic("no such region")
	}
	if r.Region == "" {
		return "orders.default"
	}
	return subjects.Subject("orders." + r.Region)
}

// fragile is an event whose own methods panic.
type fragile struct {
	Validates, Marshals bool
}

func (fragile) Subject() subjects.Subject { return "fragile" }

func (f fragile) Validate() error {
	if f.Validates {
		panic("nil map")
	}
	return nil
}

func (f fragile) MarshalJSON() ([]byte, error) {
	if f.Marshals {
		panic(errors.New("nil pointer"))
	}
	return []byte(`{}`), nil
}

func refusing(t *testing.T) (*memory.Broker, *client.Client) {
	t.Helper()
	b := memory.New()
	c, err := client.Build(t.Context(), "c", "refusing", "memory:", client.Transport(b.Dialer()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return b, c
}

// TestSubjectOfTheValue: an event is not stored on another subject than its own.
func TestSubjectOfTheValue(t *testing.T) {
	t.Parallel()
	b, c := refusing(t)
	p, err := publisher.New[regional](c)
	require.NoError(t, err)
	for _, err := range refusals(t, p, regional{"eu"}) {
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, publisher.ErrInvalidEvent)
		require.ErrorContains(t, err, `"orders.eu"`)
		require.ErrorContains(t, err, `"orders.default"`)
	}
	for _, err := range refusals(t, p, regional{"nowhere"}) {
		require.ErrorIs(t, err, publisher.ErrInvalidEvent)
		require.ErrorContains(t, err, "Subject of *publisher_test.regional panics: no such region")
	}
	require.NoError(t, p.Publish(t.Context(), regional{}))
	require.Equal(t, []string{"orders.default"}, b.Subjects())
}

// refusals publishes an event in each way, and returns the errors.
func refusals[T interface{ Subject() subjects.Subject }](t *testing.T, p *publisher.Publisher[T], event T) []error {
	t.Helper()
	_, async := p.PublishAsync(t.Context(), event)
	stored, all := p.PublishAll(t.Context(), slices.Values([]T{event}))
	require.Zero(t, stored)
	return []error{p.Publish(t.Context(), event), async, all}
}

// TestPanicsOfTheEvent are errors of the publish, and the publisher goes on.
func TestPanicsOfTheEvent(t *testing.T) {
	t.Parallel()
	b, c := refusing(t)
	p, err := publisher.New[fragile](c)
	require.NoError(t, err)
	for text, event := range map[string]fragile{"Validate of": {Validates: true}, "encoding of": {Marshals: true}} {
		for _, err := range refusals(t, p, event) {
			require.ErrorIs(t, err, publisher.ErrNotStored)
			require.ErrorIs(t, err, publisher.ErrInvalidEvent)
			require.ErrorContains(t, err, text)
		}
	}
	withID, err := publisher.New[fragile](c, publisher.MessageID(func(fragile) string { panic("no ID") }))
	require.NoError(t, err)
	require.ErrorContains(t, withID.Publish(t.Context(), fragile{}), "option MessageID of *publisher_test.fragile panics: no ID")
	require.NoError(t, p.Publish(t.Context(), fragile{}))
	require.Len(t, b.Stored("fragile"), 1)
}

// TestNilContext is an error, and nothing is sent.
func TestNilContext(t *testing.T) {
	t.Parallel()
	b, c := refusing(t)
	p, err := publisher.New[regional](c)
	require.NoError(t, err)
	raw, err := publisher.NewRaw(c)
	require.NoError(t, err)
	var none context.Context
	_, async := p.PublishAsync(none, regional{})
	_, all := p.PublishAll(none, slices.Values([]regional{{}}))
	_, rawAsync := raw.PublishAsync(none, publisher.Message{Subject: "a"})
	for _, err := range []error{p.Publish(none, regional{}), async, all, raw.Publish(none, publisher.Message{Subject: "a"}), rawAsync} {
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "context: nil")
	}
	require.Empty(t, b.Subjects())
}

// TestRawHeaderIsTheCallers: who publishes may use the header's values again while the
// message waits for the connection.
func TestRawHeaderIsTheCallers(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{}
	conn.Declared = transport.Features{Headers: true}
	c, err := client.Build(t.Context(), "c", "header", "fake:", client.Transport(conn.Dialer()))
	require.NoError(t, err)
	raw, err := publisher.NewRaw(c)
	require.NoError(t, err)
	header := map[string][]string{"Trace": {"one"}}
	_, err = raw.PublishAsync(t.Context(), publisher.Message{Subject: "a", Header: header})
	require.NoError(t, err)
	header["Trace"][0] = "two"
	require.Equal(t, []string{"one"}, conn.Published()[0].Header["Trace"])
}
