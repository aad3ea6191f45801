package main

import (
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

func main() {
	_, _ = publisher.New[events.TicketCreated](nil, listener.AckWait(time.Second)) // cannot use listener.AckWait
}
