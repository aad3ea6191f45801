//go:build !race

package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestAllocations: in the long run a publish costs no memory. The race detector allocates, too.
func TestAllocations(t *testing.T) {
	o := connected()
	data := []byte("some data")
	receipt := transport.Receipt(transport.ReceiptFunc(ignore))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		ticket, _ := o.Add(transport.Message{Subject: "c", Data: data}, receipt)
		p, _ := o.Next(time.Time{})
		o.Written(p, false)
		o.Stored(ticket, 1).Tell()
	}))
}
