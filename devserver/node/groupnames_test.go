//go:build node

package node_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// TestGroupsOfAnyName: whatever Node services call their group, a Go service is a member like
// any other.
func TestGroupsOfAnyName(t *testing.T) {
	t.Parallel()
	for name, durable := range map[string]string{
		"payments:service": "durable", "Payments Service": "Payments Service", "payments/service": "payments/service", "支付 > *": "支付 > *",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const last = 40
			srv := serve(t)
			var got collection[handled]
			inNode := listenFromNode(t, srv, "node-1", handledBy(t, "node-1", &got), "--group", name, "--durable", durable, string(subject))
			inGo := listenFromGo(t, srv, "go-1", name, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
				assert.Equal(t, name, d.Group)
				got.add(handled{e, "go-1", d.Redelivered})
				return nil
			}, listener.DurableName(durable))
			publishFromGo(t, connect(t, srv, "go-publisher"), tickets(1, last))
			got.await(t, last)
			awaitSettled(t, srv, subject, last)
			leave(t, []service{inNode, inGo})
			share := make(map[string]int)
			for _, h := range got.list() {
				share[h.by]++
			}
			assert.Positive(t, share["node-1"])
			assert.Positive(t, share["go-1"])
			requireOnce(t, got.list(), 1, last)
		})
	}
}
