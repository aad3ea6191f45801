// Command listen prints each ticket:created event until Ctrl-C. Started several
// times, the processes share the events, as members of one queue group do.
//
//	go run ./examples/listen
//
// It connects to NATS_URL (default nats://localhost:4222), cluster
// NATS_CLUSTER_ID (default ticketing), as the client NATS_CLIENT_ID (default: made
// of the names of the program and the host). With NATS_TRANSPORT=jetstream it does
// so over JetStream, and with streaming, the default, over NATS Streaming. The exit
// status is 0 after Ctrl-C.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

func main() {
	if err := listen(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// drain is how long handlers have to finish once the service is to end. Kubernetes kills a
// pod 30 s after its SIGTERM, and closing the client takes up to 10 s (client.CloseTimeout).
const drain = 15 * time.Second

func listen(ctx context.Context) error {
	c, err := client.FromEnv(ctx) // one for the whole service, over what NATS_TRANSPORT says; waits for the server
	if err != nil {
		return err
	}
	// The group is durable: what arrives while no member listens is delivered later.
	// Give each service a group name of its own.
	l, err := listener.New(c, "listen-example", handle, listener.DrainTimeout(drain))
	if err != nil {
		return err
	}
	// Until Ctrl-C, the SIGTERM of Kubernetes, or an error. Handlers that run then finish,
	// and the client is closed.
	return client.Run(ctx, c, l)
}

// handle is called for one event at a time; see listener.Concurrency. After nil
// the event is acknowledged; after an error or a panic it comes again. It may come
// again after nil, too, so do what you do in a way that can be done twice.
func handle(_ context.Context, ticket events.TicketCreated, d listener.Delivery) error {
	fmt.Printf("%s #%d (attempt %d): %+v\n", d.Subject, d.Sequence, d.Attempt, ticket)
	return nil
}
