package main

import "github.com/sgtickets/common/events"

func main() {
	_ = events.TicketCreated{Titel: "concert"} // unknown field Titel in struct literal
}
