package jetstream

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// FuzzOrigin: what nats.go reads in a reply subject is what is read here; what it
// refuses is refused.
func FuzzOrigin(f *testing.F) {
	for _, reply := range []string{
		"$JS.ACK.orders.c.1.22.333.1795254000123456789.4",
		"$JS.ACK._.hash.orders.c.2.22.333.1795254000123456789.4",
		"$JS.ACK.hub.hash.orders.c.3.22.333.1795254000123456789.4.random",
		"$JS.ACK.hub.hash.orders.c.3.22.333.1795254000123456789.4.random.more",
		"$JS.ACK.a.orders.c.1.22.333.1795254000123456789.4", // neither form
		"$JS.ACK.orders.c.1.22.333.1795254000123456789",
		"$JS.ACK.orders.c.x.22.333.1795254000123456789.4",
		"_INBOX.a.b.c.d.e.f.g.h",
		"",
	} {
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		o, ok := originOf(reply)
		meta, err := (&nats.Msg{Reply: reply, Sub: &nats.Subscription{}}).Metadata()
		if err != nil {
			require.False(t, ok, reply)
			return
		}
		if ok {
			require.Equal(t, meta.Stream, o.stream)
			require.Equal(t, meta.Consumer, o.consumer)
			require.Equal(t, meta.Sequence.Stream, o.sequence)
			require.Equal(t, meta.NumDelivered, o.deliveries)
			require.Equal(t, meta.Timestamp, o.stored)
		}
	})
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]bool{
		"$JS.ACK.orders.c.1.22.333.1795254000123456789.4":                 true,
		"$JS.ACK._.hash.orders.c.1.22.333.1795254000123456789.4":          true,
		"$JS.ACK.hub.hash.orders.c.1.22.333.1795254000123456789.4.random": true,
		"$JS.ACK.a.orders.c.1.22.333.1795254000123456789.4":               false,
		"$JS.ACK.orders.c.1.x.333.1795254000123456789.4":                  false,
		"_INBOX.a": false,
	} {
		o, ok := originOf(reply)
		require.Equal(t, want, ok, reply)
		if ok {
			require.Equal(t, "orders", o.stream)
			require.Equal(t, "c", o.consumer)
			require.EqualValues(t, 22, o.sequence)
			require.EqualValues(t, 1, o.deliveries)
			require.EqualValues(t, 1795254000123456789, o.stored.UnixNano())
			require.EqualValues(t, 4, o.pending)
		}
	}
}
