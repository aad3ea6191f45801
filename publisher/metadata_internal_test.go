package publisher

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestMetadata: CloudEvents' attributes as headers, and an ID of its own for each.
func TestMetadata(t *testing.T) {
	t.Parallel()
	m := newMetadata(transport.Features{Headers: true, Deduplicate: true}, "ticketing", `a "b"`, "größe:änderung", "application/json")
	one, two := transport.Message{}, transport.Message{}
	m.describe(&one)
	m.describe(&two)
	require.NotEmpty(t, one.ID)
	require.NotEqual(t, one.ID, two.ID)
	stored, err := time.Parse(time.RFC3339Nano, one.Header["ce-time"][0])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), stored, time.Minute)
	require.Equal(t, transport.Header{
		"ce-specversion":     {"1.0"},
		"ce-id":              {one.ID},
		"ce-type":            {"gr%C3%B6%C3%9Fe:%C3%A4nderung"},
		"ce-source":          {"/ticketing/a%20%22b%22"},
		"ce-time":            one.Header["ce-time"],
		"ce-datacontenttype": {"application/json"},
		"Content-Type":       {"application/json"},
	}, one.Header)

	plain := newMetadata(transport.Features{}, "ticketing", "orders", "order:created", "application/json")
	three := transport.Message{}
	plain.describe(&three)
	require.Equal(t, transport.Message{}, three, "NATS Streaming has neither")
}
