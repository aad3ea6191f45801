// Command redrive lists the dead letters that a queue group has left of a subject,
// or puts their events back on it.
//
//	go run ./cmd/redrive -group payments -subject order:created -list
//	go run ./cmd/redrive -group payments -subject order:created -reason exhausted -limit 10
//
// It connects to NATS_URL (default nats://localhost:4222), cluster
// NATS_CLUSTER_ID (default ticketing), as the client NATS_CLIENT_ID (default: made
// of the names of the program and the host). With NATS_TRANSPORT=jetstream it does
// so over JetStream, and with streaming, the default, over NATS Streaming. Ctrl-C
// ends it in between: started again, it goes on. The exit status is 0 when
// everything was put back that was to be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/plural"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

// task is what is to be done.
type task struct {
	group   string
	subject subjects.Subject
	reason  events.DeadLetterReason // empty: any
	limit   int                     // 0: none
	list    bool                    // put back nothing
}

func main() {
	var t task
	flag.StringVar(&t.group, "group", "", "queue `group` that could not handle the events")
	flag.StringVar((*string)(&t.subject), "subject", "", "`subject` of the events, such as order:created")
	flag.StringVar((*string)(&t.reason), "reason", "", "only those given up for that `reason`: undecodable, invalid, rejected, exhausted, version-gap or crashed")
	flag.IntVar(&t.limit, "limit", 0, "put back, or list, `n` events at most; 0: all")
	flag.BoolVar(&t.list, "list", false, "only show them")
	flag.Parse()
	if err := run(context.Background(), t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, t task) error {
	if err := t.check(); err != nil {
		return err
	}
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	return client.Run(ctx, c, client.RunnerFunc(func(ctx context.Context) error { return t.run(ctx, c, os.Stdout) }))
}

// check says what is wrong with the flags, before a server is waited for.
func (t task) check() error {
	switch {
	case t.group == "" || t.subject == "":
		return errors.New("flags -group and -subject: both are needed")
	case t.reason != "" && !t.reason.Valid():
		return fmt.Errorf("flag -reason: %q is not a reason; use undecodable, invalid, rejected, exhausted, version-gap or crashed", t.reason)
	case t.limit < 0:
		return fmt.Errorf("flag -limit: %d; must be positive, or 0 for all", t.limit)
	}
	return listener.DeadLettersOf{Group: t.group, Subject: t.subject}.Validate()
}

func (t task) run(ctx context.Context, c *client.Client, out io.Writer) error {
	listed := 0
	opts := []deadletter.Option{deadletter.Where(func(d events.DeadLetter) bool {
		if t.reason != "" && d.Reason != t.reason || t.list && t.limit > 0 && listed == t.limit {
			return false
		}
		listed++
		_, err := fmt.Fprintln(out, line(d))
		return err == nil && !t.list
	})}
	if t.limit > 0 {
		opts = append(opts, deadletter.Limit(t.limit))
	}
	got, err := deadletter.Redrive(ctx, c, t.group, t.subject, opts...)
	_, printed := fmt.Fprintf(out, "put back: %d; duplicates: %d; left: %d; failed: %d\n", got.Redriven, got.Duplicates, got.Kept, got.Failed)
	return errors.Join(err, printed)
}

// line describes a dead letter.
func line(d events.DeadLetter) string {
	data := fmt.Sprintf("%.100q", d.Data)
	if d.Truncated {
		data = "(not in the dead letter)"
	}
	return fmt.Sprintf("%s %s after %s at %s: %s\n\t%s",
		d.ID, d.Reason, plural.Count(d.Attempts, "attempt", "attempts"), d.FailedAt.UTC().Format(time.RFC3339), d.Error, data)
}
