package main

import (
	"context"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

func handle(context.Context, events.TicketUpdated, listener.Delivery) error { return nil }

func main() {
	_, _ = listener.New[events.TicketCreated](nil, "orders", handle) // cannot use handle
}
