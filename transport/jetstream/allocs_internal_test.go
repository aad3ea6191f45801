//go:build !race

package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// discard is a NATS connection that takes everything.
type discard struct{ natsWriter }

func (discard) PublishMsg(*nats.Msg) error { return nil }
func (discard) MaxPayload() int64          { return 1 << 20 }

// TestAllocations: from Publish to the answer a publish costs the headers that the stream
// checks (the map takes two allocations, the message ID one) and the subject of the answer.
// The race detector allocates, too.
func TestAllocations(t *testing.T) {
	c := &conn{sender: newSender(publishPolicy(func() time.Duration { return time.Minute })), expected: []string{"ticketing"}}
	c.sender.attach(discard{}, "_INBOX.0123456789012345678901.")
	t.Cleanup(func() { c.sender.end(transport.ErrClosed) })
	c.subjects.Store(newSubjectSet([]string{"a", "b.*.>", "c"}))
	require.Zero(t, testing.AllocsPerRun(1000, func() { c.Takes("c"); c.Takes("b.c.d") }), "it is asked at each publish")
	receipt, data := transport.Receipt(transport.ReceiptFunc(func(error) {})), make([]byte, 120)
	var m nats.Msg
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		ticket := c.Publish(transport.Message{Subject: "c", ID: "0123456789", Data: data}, receipt)
		c.sender.writeDue(&m)
		c.sender.onStored(ticket, 1).Tell()
	}), 4.0)
}
