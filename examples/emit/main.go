// Command emit publishes a few ticket:created events and ends.
//
//	go run ./examples/emit -n 3
//
// It connects to NATS_URL (default nats://localhost:4222), cluster
// NATS_CLUSTER_ID (default ticketing), as the client NATS_CLIENT_ID (default: made
// of the names of the program and the host). With NATS_TRANSPORT=jetstream it does
// so over JetStream, and with streaming, the default, over NATS Streaming. The exit
// status is 0 when all events are stored.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
)

func main() {
	n := flag.Int("n", 3, "`number` of events to publish")
	flag.Parse()
	if err := emit(context.Background(), *n); err != nil {
		log.Fatal(err)
	}
}

func emit(ctx context.Context, n int) error {
	c, err := client.FromEnv(ctx) // one for the whole service, over what NATS_TRANSPORT says; waits for the server
	if err != nil {
		return err
	}
	// Run ends the context of publish with Ctrl-C or the SIGTERM of Kubernetes, and closes
	// the client at the end, which sends what is under way.
	return client.Run(ctx, c, client.RunnerFunc(func(ctx context.Context) error { return publish(ctx, c, n) }))
}

func publish(ctx context.Context, c *client.Client, n int) error {
	tickets, err := publisher.New[events.TicketCreated](c) // one for each type of event
	if err != nil {
		return err
	}
	for i := range n {
		ticket := events.TicketCreated{ID: rand.Text(), Title: fmt.Sprintf("concert %d", i+1), Price: 20, UserID: "emit"}
		// After nil the server has the event. The error says whether publishing it
		// again is safe (publisher.ErrNotStored) or may double it (ErrOutcomeUnknown).
		if err := tickets.Publish(ctx, ticket); err != nil {
			return err
		}
		fmt.Printf("stored %s %+v\n", ticket.Subject(), ticket)
	}
	return nil
}
