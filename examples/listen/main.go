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
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

func main() {
	// Ctrl-C, and the SIGTERM of Kubernetes, end the context; a second Ctrl-C the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := listen(ctx); err != nil {
		log.Fatal(err)
	}
}

func listen(ctx context.Context) (err error) {
	c, err := client.FromEnv(ctx) // one for the whole service, over what NATS_TRANSPORT says; waits for the server
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut(c)) }()

	// The group is durable: what arrives while no member listens is delivered later.
	// Give each service a group name of its own.
	l, err := listener.New(c, "listen-example", handle, listener.DrainTimeout(drain))
	if err != nil {
		return err
	}
	return l.Listen(ctx) // until ctx is done and the handler that runs has finished
}

// Kubernetes kills a pod 30 s after its SIGTERM, unless told otherwise: handlers
// that run then have drain to finish, and the connection closing to close.
const (
	drain   = 20 * time.Second
	closing = 5 * time.Second
)

// shut closes the client. Not with Listen's context, which has ended by then.
func shut(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return c.Close(ctx)
}

// handle is called for one event at a time; see listener.Concurrency. After nil
// the event is acknowledged; after an error or a panic it comes again. It may come
// again after nil, too, so do what you do in a way that can be done twice.
func handle(_ context.Context, ticket events.TicketCreated, d listener.Delivery) error {
	fmt.Printf("%s #%d (attempt %d): %+v\n", d.Subject, d.Sequence, d.Attempt, ticket)
	return nil
}
