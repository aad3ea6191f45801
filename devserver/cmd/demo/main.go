// Command demo shows what happens to a ticketing platform whose server goes away
// for a while: nothing is lost.
//
//	make demo
//	make demo-jetstream
//	go run ./devserver/cmd/demo [-jetstream]
//
// It needs nothing but Go. It starts a NATS Streaming server on a file store, or
// with -jetstream one of JetStream, in a process of its own; the four services of
// examples/ticketing with two members each; and some hundred stories of people who
// sell and buy tickets. In the middle it kills the server's process (SIGKILL) and
// starts another. It ends by itself, in about twenty seconds, with a line such as
//
//	published 3000, handled 3000, lost 0
//
// An event counts as published when the server confirmed that it stored it, or
// when it arrived somewhere although that confirmation went missing; as handled
// when every service that listens for it has handled it; and as lost when it was
// published and not handled. Each event counts once: those that came twice to a
// service are told apart, above that line.
//
// The exit status is 0 when nothing was lost and all stories came to their end,
// and 1 otherwise. After Ctrl-C it is 0, and there is no such line: what was not
// handled by then was not lost, but left on the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(serveIn) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	d := demo{
		stories: 330,
		pace:    30 * time.Millisecond,
		window:  2 * time.Second,
		outage:  time.Second,
		limit:   45 * time.Second,
	}
	flag.IntVar(&d.stories, "stories", d.stories, "`number` of tickets, each of them ten events or a few more")
	flag.BoolVar(&d.jetStream, "jetstream", false, "on JetStream instead of NATS Streaming")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	d.screen = newScreen(os.Stdout)
	os.Exit(d.run(ctx))
}
