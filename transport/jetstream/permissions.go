package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// permissions is the part of a connection about permissions that are missing.
type permissions struct {
	refusals refusals

	teller natsconn.Teller

	mu      sync.Mutex
	missing natsconn.Missing[need]
	epoch   uint64 // grows with each reconnect
	trying  bool   // a goroutine tries what is missing
}

// violated takes in that the NATS server has refused something. It is matched to what was
// sent.
func (c *conn) violated(v natsconn.Violation) {
	p := &c.permissions
	n, ok := needOf(v.Subject, c.prefix)
	switch {
	case v.Subscribe && isAdvisory(v.Subject):
		c.log.Info("what the server gives up is not told: the client may not subscribe to the server's advisories", slog.String("subject", v.Subject))
	case v.Subscribe:
		p.refusals.note(v)
		if c.Up() {
			c.noteMissing(need{kind: needInboxes}, v)
		}
	case ok:
		if c.hasConsumer(n) {
			c.noteMissing(n, v)
		}
	case strings.HasPrefix(v.Subject, c.prefix):
		p.refusals.note(v) // the error of the request says so
	default:
		if missing := v.Missing(v.Subject); c.sender.onForbidden(v.Subject, missing) {
			c.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: missing})
		}
	}
}

// hasConsumer reports whether a subscription of this connection has the consumer.
func (c *conn) hasConsumer(n need) bool {
	return n.stream == c.cfg.ClusterID && slices.ContainsFunc(c.subscriptions(), func(s *subscription) bool { return s.consumer.name == n.consumer })
}

// noteMissing takes in that a permission is missing. It is tried again until it is there.
func (c *conn) noteMissing(n need, v natsconn.Violation) {
	p := &c.permissions
	p.mu.Lock()
	p.missing.Note(n, v, p.epoch)
	p.missing.Show(n)
	p.teller.Add(p.missing.TakeEvents()...)
	begin := !p.trying
	p.trying = true
	p.mu.Unlock()
	p.teller.Tell(c.watch.Tell)
	if begin {
		c.background(c.tryPermissions)
	}
}

// beginEpoch says that what was refused before concerns a connection that is gone.
func (p *permissions) beginEpoch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
}

// tryPermissions tries the permissions that are missing until none is.
func (c *conn) tryPermissions() {
	for {
		select {
		case <-time.After(natsconn.TryAgain):
		case <-c.Done():
			return
		}
		if c.tryOnce() {
			return
		}
	}
}

// tryOnce tries the permissions that are missing. It reports whether none is.
func (c *conn) tryOnce() (none bool) {
	p := &c.permissions
	p.mu.Lock()
	p.missing.EndUnwanted(func(n need) bool { return n.kind == needInboxes || c.hasConsumer(n) })
	p.teller.Add(p.missing.TakeEvents()...)
	tries, epoch := p.missing.Tries(), p.epoch
	p.trying = len(tries) > 0
	for n := range tries {
		last, _ := p.missing.Lacks(n)
		c.try(n, last)
	}
	p.mu.Unlock()
	p.teller.Tell(c.watch.Tell)
	if len(tries) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkWait)
	defer cancel()
	err := c.watch.Check(ctx, c.nc)
	p.mu.Lock()
	if err != nil || p.epoch != epoch {
		p.mu.Unlock()
		return false
	}
	granted, reconnect := p.missing.Tried(tries, epoch)
	p.teller.Add(p.missing.TakeEvents()...)
	p.mu.Unlock()
	p.teller.Tell(c.watch.Tell)
	if reconnect { // the server has ended subscriptions, and nats.go makes them again when it reconnects
		_ = c.nc.ForceReconnect()
		return false
	}
	for _, n := range granted {
		c.requestAnew(n)
	}
	return false
}

// try sends what the NATS server refuses if the permission is still missing, and what nobody
// acts on if it is not.
func (c *conn) try(n need, last natsconn.Violation) {
	switch n.kind {
	case needAcks:
		_ = c.nc.Publish(harmlessAck(last.Subject), inProgress)
	case needPulls:
		_ = c.nc.Publish(last.Subject, nil) // the server ignores a request that names no inbox
	case needInboxes:
		if sub, err := c.nc.Subscribe(c.nc.NewInbox(), func(*nats.Msg) {}); err == nil {
			_ = sub.Unsubscribe()
		}
	}
}

// requestAnew has the subscriptions of a consumer request messages: the requests that were
// refused are not answered.
func (c *conn) requestAnew(n need) {
	for _, s := range c.subscriptions() {
		if n.kind == needPulls && s.consumer.name == n.consumer {
			s.reconnected()
		}
	}
}

// refusals are the requests to JetStream's API, and the subscriptions to its answers, that the
// NATS server has refused. The zero value is ready.
type refusals struct {
	mu    sync.Mutex
	count int
	last  error
}

func (r *refusals) note(v natsconn.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.last = v.Err
}

func (r *refusals) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// explain returns the error of a request. If no answer came, and the server has refused
// something since it had refused that many, the error says so, and matches
// transport.ErrForbidden.
func (r *refusals) explain(before int, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == before {
		return err
	}
	return fmt.Errorf("%w: %w: %w", transport.ErrForbidden, r.last, err)
}
