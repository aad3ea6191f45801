package listener_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// TestDeliveryID: over both brokers the CloudEvents attributes count where there are
// headers, and else the stored message; a redelivery has the same ID.
func TestDeliveryID(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		headers := s.features().Headers
		header := transport.Header(nil)
		if headers {
			header = transport.Header{"ce-source": {"/ticketing/orders"}, "ce-id": {"4711"}}
		}
		s.store("anything", header, "with headers, where there are any")
		s.store("anything", nil, "without")
		var ids []string
		stored := make(map[uint64]time.Time)
		stop := s.raw("anything", "tools", func(_ context.Context, _ []byte, d listener.Delivery) error {
			ids = append(ids, d.ID())
			stored[d.Sequence] = d.Timestamp
			return listener.RetryAfter(10*time.Second, nil)
		})
		time.Sleep(15 * time.Second)
		synctest.Wait()
		stop()
		first := fmt.Sprintf("anything 1 %d", stored[1].UnixNano())
		if headers {
			first = "/ticketing/orders 4711"
		}
		second := fmt.Sprintf("anything 2 %d", stored[2].UnixNano())
		require.Equal(s, []string{first, second, first, second}, ids)
		s.close()
	})
}

// TestDeliveryIDIsUnambiguous: no two deliveries of different events have the same ID.
func TestDeliveryIDIsUnambiguous(t *testing.T) {
	t.Parallel()
	cloud := func(source, id string) listener.Delivery {
		return listener.Delivery{Subject: "s", Sequence: 1, Timestamp: time.Unix(0, 5), Header: listener.Header{"ce-source": {source}, "ce-id": {id}}}
	}
	ids := make(map[string]string)
	for name, d := range map[string]listener.Delivery{
		"stored":                  {Subject: "s", Sequence: 1, Timestamp: time.Unix(0, 5)},
		"stored, other time":      {Subject: "s", Sequence: 1, Timestamp: time.Unix(0, 6)},
		"stored, other subject":   {Subject: "t", Sequence: 1, Timestamp: time.Unix(0, 5)},
		"looks like a stored one": cloud("s", "1 5"), "looks like one, too": cloud("s 1", "5"),
		"encoded": cloud("s%201", "5"), "space": cloud("a b", "c"), "other space": cloud("a", "b c"), "percent": cloud("a%", "20b c"),
	} {
		id := d.ID()
		require.Empty(t, ids[id], "%q is the ID of %s, too", id, name)
		ids[id] = name
	}
	for _, header := range []listener.Header{
		{"ce-id": {"1"}}, {"ce-source": {"a"}}, {"ce-id": {""}, "ce-source": {"a"}}, {"ce-id": {"1"}, "ce-source": {""}}, {"ce-id": {"1", "2"}, "ce-source": {"a"}},
	} {
		require.Equal(t, "s 1 5", listener.Delivery{Subject: "s", Sequence: 1, Timestamp: time.Unix(0, 5), Header: header}.ID(), "%v", header)
	}
	require.Empty(t, listener.Delivery{}.ID())
}

func (s *bed) features() transport.Features { return access.Session(s.client).Conn.Features() }
