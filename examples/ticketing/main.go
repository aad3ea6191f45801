// Command ticketing plays the story of one ticket, from its sale to its payment,
// with all six events of the platform: tickets, orders, expiration and payments
// are small services with two members each, every one of them with a connection
// of its own. Package platform holds the services. It ends when the story is told.
//
//	go run ./examples/ticketing
//
// Its settings are those of examples/listen, credentials and TLS included, but for
// NATS_CLIENT_ID: each member has a client ID of its own. The exit status is 0 when the
// story came to its end.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// window is how long people have to pay: in real life some minutes.
const window = time.Second

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	slog.SetLogLoggerLevel(slog.LevelWarn) // of the library's log: what goes well is for the journal
	p := platform.New(window)
	journal := new(journal)
	ctx, end := context.WithCancel(ctx)
	defer end()
	services := p.Services()
	runners := make([]client.Runner, 0, 1+2*len(services))
	runners = append(runners, client.RunnerFunc(func(ctx context.Context) error {
		defer end() // the members leave when the story is told
		return tell(ctx, p, journal)
	}))
	for _, s := range services {
		for n := range 2 {
			name := fmt.Sprintf("%s-%d", strings.TrimPrefix(s.Name(), "example-"), n+1)
			runners = append(runners, client.RunnerFunc(func(ctx context.Context) error {
				defer end() // and the story stops when a member leaves
				return work(ctx, platform.Member{Service: s, Name: name, Journal: journal})
			}))
		}
	}
	return listener.Run(ctx, runners...)
}

// work is what a member does, which in real life is a process of its own.
func work(ctx context.Context, m platform.Member) error {
	c, err := connect(ctx, m.Name)
	if err != nil {
		return err
	}
	m.Client = c
	return client.Run(ctx, c, m)
}

// tell plays the story, and waits until all that it led to is published.
func tell(ctx context.Context, p *platform.Platform, j *journal) error {
	if err := p.Story(ctx, "open air", j.tell); err != nil {
		return fmt.Errorf("the story was cut short: %w", err)
	}
	j.tell("the clock goes on for Eve's order, which is paid for")
	for {
		if due, later := p.Unpublished(); due+later == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// connect gives a member a client of its own, which is known again when the program runs
// again.
func connect(ctx context.Context, member string) (*client.Client, error) {
	return client.FromEnv(ctx, client.ClientID(client.ID("example-"+member)))
}
