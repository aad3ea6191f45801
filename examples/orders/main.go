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
	"flag"
	"log"
	"time"

	"github.com/sgtickets/common/client"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to serve HTTP")
	flag.Parse()
	if err := run(context.Background(), *addr); err != nil {
		log.Fatal(err)
	}
}

// drain is how long handlers and requests have to finish once the service is to end.
// Kubernetes kills a pod 30 s after its SIGTERM, and closing the client takes up to 10 s
// (client.CloseTimeout).
const drain = 15 * time.Second

func run(ctx context.Context, addr string) error {
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	orders, err := NewOrders(c, &Memory{})
	if err != nil {
		return err
	}
	return client.Run(ctx, c, orders.Tickets, orders.Expirations, web{c, orders, addr})
}
