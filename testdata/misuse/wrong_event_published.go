package main

import (
	"context"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
)

func main() {
	p, _ := publisher.New[events.TicketCreated](nil)
	_ = p.Publish(context.Background(), events.TicketUpdated{}) // cannot use events.TicketUpdated{}
}
