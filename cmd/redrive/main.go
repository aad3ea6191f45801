// Command redrive lists the dead letters that a queue group has left of a subject, or puts
// their events back on that subject.
//
//	go run ./cmd/redrive -group payments -subject order:created -list
//	go run ./cmd/redrive -group payments -subject order:created -reason exhausted -limit 10
//
// It connects to NATS_URL (default nats://localhost:4222), cluster NATS_CLUSTER_ID (default
// ticketing), as the client NATS_CLIENT_ID (default: made of the names of the program and
// the host). NATS_TRANSPORT selects the broker: jetstream, or streaming (NATS Streaming, the
// default). Ctrl-C ends the command; started again, it goes on. The exit status is 0 if
// every event was put back that was asked for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
)

// task is what the flags ask for.
type task struct {
	group   string
	subject subjects.Subject
	reason  events.DeadLetterReason // empty: any
	limit   int                     // 0: no limit
	list    bool                    // list the dead letters, put back nothing
}

func main() {
	var t task
	flag.StringVar(&t.group, "group", "", "queue `group` that could not handle the events")
	flag.StringVar((*string)(&t.subject), "subject", "", "`subject` of the events, such as order:created")
	flag.StringVar((*string)(&t.reason), "reason", "", "only those given up for that `reason`: undecodable, invalid, rejected or exhausted")
	flag.IntVar(&t.limit, "limit", 0, "put back `n` events at most; 0: all")
	flag.BoolVar(&t.list, "list", false, "only show them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run connects as the environment says and does the task.
func run(ctx context.Context, t task) (err error) {
	if err := t.check(); err != nil {
		return err
	}
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = errors.Join(err, c.Close(closing))
	}()
	return t.run(ctx, c, os.Stdout)
}

// check returns an error if the flags are wrong, before the command connects.
func (t task) check() error {
	switch {
	case t.group == "" || t.subject == "":
		return errors.New("flags -group and -subject: set both")
	case t.reason != "" && !t.reason.Valid():
		return fmt.Errorf("flag -reason: %q is not a reason; reasons are undecodable, invalid, rejected, exhausted", t.reason)
	case t.limit < 0:
		return fmt.Errorf("flag -limit: %d; must be positive, or 0 for all", t.limit)
	case t.list && t.limit > 0:
		return errors.New("flags -list and -limit: -list puts back nothing, so -limit has no effect; leave one of them out")
	}
	return nil
}

// run does the task with a client and prints to out.
func (t task) run(ctx context.Context, c *client.Client, out io.Writer) error {
	opts := []deadletter.Option{deadletter.Where(func(d events.DeadLetter) bool {
		if t.reason != "" && d.Reason != t.reason {
			return false
		}
		_, err := fmt.Fprintln(out, describe(d))
		return err == nil && !t.list
	})}
	if t.limit > 0 {
		opts = append(opts, deadletter.Limit(t.limit))
	}
	got, err := deadletter.Redrive(ctx, c, t.group, t.subject, opts...)
	_, printed := fmt.Fprintf(out, "put back: %d; duplicates: %d; left: %d; failed: %d\n", got.Redriven, got.Duplicates, got.Kept, got.Failed)
	return errors.Join(err, printed)
}

// describe returns a line that describes a dead letter, and one with its data.
func describe(d events.DeadLetter) string {
	data := fmt.Sprintf("%.100q", d.Data)
	if d.Truncated {
		data = "(not in the dead letter)"
	}
	return fmt.Sprintf("%s %s after %d attempts at %s: %s\n\t%s",
		d.ID, d.Reason, d.Attempts, d.FailedAt.UTC().Format(time.RFC3339), d.Error, data)
}
