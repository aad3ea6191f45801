// Command orders is a service to copy: orders.go is what it does, store.go what it
// keeps, web.go how it is called, main.go what starts and ends it. How it is tested,
// with no server, is in orders_test.go, and is the point of it.
//
//	go run ./examples/orders
//	curl -d 'id=o1&ticket=t1&buyer=Ada' localhost:8080/orders
//
// It serves until Ctrl-C. Its settings are those of examples/listen, and the flag
// -addr.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to serve HTTP")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string) (err error) {
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut(c)) }()

	orders, err := NewOrders(c, &Memory{})
	if err != nil {
		return err
	}
	return listener.Run(ctx, orders.Tickets, orders.Expirations, web{c, orders, addr})
}

// Kubernetes kills a pod 30 s after its SIGTERM, unless told otherwise: handlers
// and requests that run then have drain to finish, and the connection closing to
// close.
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
