package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// demo is one run of the demo.
type demo struct {
	stories int           // how many tickets are put up for sale
	pace    time.Duration // from one to the next
	window  time.Duration // to pay for an order
	outage  time.Duration // how long the server is away
	limit   time.Duration // for everything; beyond it what is missing is given up for lost

	jetStream bool // instead of NATS Streaming

	screen *screen

	journal func(*ledger) platform.Journal // what the members write in; nil: the ledger itself

	platform *platform.Platform
	ledger   *ledger
	sold     atomic.Int64 // stories at their end
}

// eventsPerStory is at least how many: each ticket is put up for sale, ordered,
// reserved, freed, ordered, reserved and paid for.
const eventsPerStory = 10

var errLimit = errors.New("the time is up")

// run returns the exit status.
func (d *demo) run(ctx context.Context) int {
	d.platform = platform.New(d.window)
	d.ledger = newLedger()
	limited, cancel := context.WithTimeoutCause(ctx, d.limit, errLimit)
	defer cancel()
	err := d.play(limited)
	if ctx.Err() != nil {
		t := d.ledger.tally()
		d.screen.sayf("interrupted before the end: %d events were published, %d of them handled so far", t.published, t.handled)
		return 0
	}
	return d.verdict(err)
}

// play sets the stage, and clears it in reverse order.
func (d *demo) play(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ticketing-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	srv, err := startServer(dir, 0)
	if err != nil {
		return err
	}
	defer func() {
		if srv != nil {
			srv.shutdown()
		}
	}()
	broker := "NATS Streaming"
	if d.jetStream {
		broker = "JetStream"
	}
	d.screen.sayf("server up: %s, with its events in files", broker)

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var actors sync.WaitGroup
	var failed error
	members := d.members(server{srv.clusterID, srv.url, d.jetStream})
	actors.Go(func() {
		failed = listener.Run(ctx, members...)
		end(failed)
	})
	d.screen.sayf("tickets, orders, expiration and payments work, %d members in all", len(members))
	actors.Go(func() { d.tellStories(ctx) })

	srv, err = d.script(ctx, srv, dir)
	end(nil)
	actors.Wait() // the members drain while the server is there
	return errors.Join(err, failed)
}

// members returns two members of each service.
func (d *demo) members(s server) []listener.Runner {
	var journal platform.Journal = d.ledger
	if d.journal != nil {
		journal = d.journal(d.ledger)
	}
	services := d.platform.Services()
	members := make([]listener.Runner, 0, 2*len(services))
	for _, service := range services {
		for n := range 2 {
			members = append(members, connected{
				server: s,
				member: platform.Member{Service: service, Name: fmt.Sprintf("%s-%d", service.Name(), n+1), Journal: journal},
			})
		}
	}
	return members
}

// tellStories puts the tickets up for sale one after another, and returns when
// all stories are at their end.
func (d *demo) tellStories(ctx context.Context) {
	var stories sync.WaitGroup
	defer stories.Wait()
	for i := range d.stories {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d.pace):
		}
		stories.Go(func() {
			if d.platform.Story(ctx, fmt.Sprintf("concert %d", i+1), func(string) {}) == nil {
				d.sold.Add(1)
			}
		})
	}
}

// script is what happens on the stage. It returns the server that runs then, nil
// for none.
func (d *demo) script(ctx context.Context, srv *serverProcess, dir string) (*serverProcess, error) {
	d.screen.sayf("%d tickets go on sale; the first buyer forgets to pay, the second pays", d.stories)
	half := d.stories * eventsPerStory / 2
	if err := d.watch(ctx, func() bool { return d.ledger.tally().published >= half }); err != nil {
		return srv, err
	}

	d.screen.sayf("server KILLED (SIGKILL); people go on, and what they do waits")
	srv, err := d.duringOutage(ctx, srv, dir)
	if err != nil {
		return srv, err
	}
	d.screen.sayf("server BACK, with what it had stored")
	if err := d.watchCatchUp(ctx); err != nil {
		return srv, err
	}
	d.screen.sayf("caught up: all that had to wait is published and handled")

	if err := d.watch(ctx, d.over); err != nil {
		return srv, err
	}
	d.screen.sayf("all tickets are sold")
	return srv, nil
}

// duringOutage watches while the server is away.
func (d *demo) duringOutage(ctx context.Context, srv *serverProcess, dir string) (*serverProcess, error) {
	var err error
	back := make(chan struct{})
	go func() {
		defer close(back)
		srv, err = outage(ctx, srv, dir, d.outage)
	}()
	watched := d.watch(ctx, func() bool {
		select {
		case <-back:
			return true
		default:
			return false
		}
	})
	<-back
	return srv, errors.Join(watched, err)
}

// watchCatchUp watches until the outboxes are empty once, and what was published
// by then is handled.
func (d *demo) watchCatchUp(ctx context.Context) error {
	emptied := func() bool {
		due, _ := d.platform.Unpublished()
		return due == 0
	}
	if err := d.watch(ctx, emptied); err != nil {
		return err
	}
	waiting := d.ledger.open()
	return d.watch(ctx, func() bool {
		open := d.ledger.open()
		maps.DeleteFunc(waiting, func(id identity, _ []string) bool { return open[id] == nil })
		return len(waiting) == 0
	})
}

// over tells whether all is accounted for. A handler may publish: so that nothing
// slips through between two looks, the ledger must be the same before and after
// the look into the outboxes.
func (d *demo) over() bool {
	before := d.ledger.tally()
	due, later := d.platform.Unpublished()
	return d.sold.Load() == int64(d.stories) && due+later == 0 &&
		before.lost() == 0 && before == d.ledger.tally()
}

// watch shows the summary until done.
func (d *demo) watch(ctx context.Context, done func() bool) error {
	redraw := time.NewTicker(100 * time.Millisecond)
	defer redraw.Stop()
	for !done() {
		t := d.ledger.tally()
		due, _ := d.platform.Unpublished()
		d.screen.show(fmt.Sprintf("published %-5d handled %-5d in outboxes %-4d tickets sold %d of %d",
			t.published, t.handled, due, d.sold.Load(), d.stories))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-redraw.C:
		}
	}
	return nil
}

// verdict says how the story ended, and returns the exit status.
func (d *demo) verdict(err error) int {
	t := d.ledger.tally()
	if err != nil {
		due, later := d.platform.Unpublished()
		d.screen.sayf("it went wrong: %v (%d of %d tickets sold, %d events not published)",
			strings.ReplaceAll(err.Error(), "\n", "; "), d.sold.Load(), d.stories, due+later)
	}
	d.screen.print(fmt.Sprintf("\ndoubles %d: events that came to a service again, and were recognised", t.doubles))
	if t.lost() != 0 {
		d.screen.print(strings.Join(d.explainLost(), "\n"))
	}
	d.screen.print(fmt.Sprintf("published %d, handled %d, lost %d", t.published, t.handled, t.lost()))
	if err != nil || t.lost() != 0 {
		return 1
	}
	return 0
}

// explainLost says of each event that is lost who has not handled it.
func (d *demo) explainLost() []string {
	var lines []string
	for id, missing := range d.ledger.open() {
		lines = append(lines, fmt.Sprintf("lost: %v was not handled by %s", id, strings.Join(missing, ", ")))
	}
	slices.Sort(lines)
	const enough = 10
	if len(lines) > enough {
		lines = append(lines[:enough], fmt.Sprintf("... and %d more", len(lines)-enough))
	}
	return lines
}
