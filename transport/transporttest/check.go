package transporttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
)

// patience is how long a case waits for what must happen.
const patience = time.Minute

// check is one run of one case.
type check struct {
	*testing.T
	h    Harness
	dial transport.Dialer
	id   string // makes the names of this run its own
}

func newCheck(t *testing.T, h Harness) *check {
	t.Helper()
	return &check{T: t, h: h, dial: h.Open(t), id: rand.Text()[:10]}
}

// subject returns a subject of this run.
func (c *check) subject(name string) string { return "conformance." + c.id + "." + name }

// connect returns a connection that is closed with the case.
func (c *check) connect() transport.Conn {
	c.Helper()
	return c.connectAs("conformance-" + rand.Text())
}

func (c *check) connectAs(clientID string) transport.Conn {
	c.Helper()
	conn, err := c.dial(c.context(), transport.Config{
		ClusterID: c.clusterID(), ClientID: clientID, URL: c.h.URL, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.Fatalf("connect: %v", err)
	}
	c.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			c.Errorf("close: %v", err)
		}
	})
	return conn
}

func (c *check) clusterID() string {
	if c.h.ClusterID == "" {
		return "conformance"
	}
	return c.h.ClusterID
}

// context ends when the case's patience does.
func (c *check) context() context.Context {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.Cleanup(cancel)
	return ctx
}

// publish publishes m and returns the outcome.
func (c *check) publish(conn transport.Conn, m transport.Message) error {
	c.Helper()
	outcome := make(chan error, 1)
	conn.Publish(m, transport.ReceiptFunc(func(err error) { outcome <- err }))
	select {
	case err := <-outcome:
		return err
	case <-time.After(patience):
		c.Fatalf("publish was never settled")
		return nil
	}
}

// store publishes texts, one after the other, and fails if one is not stored.
func (c *check) store(conn transport.Conn, subject string, texts ...string) {
	c.Helper()
	for _, text := range texts {
		if err := c.publish(conn, transport.Message{Subject: subject, Data: []byte(text)}); err != nil {
			c.Fatalf("publish %q: %v", text, err)
		}
	}
}

// numbers are the texts of the numbers first to last.
func numbers(first, last int) []string {
	texts := make([]string, 0, last-first+1)
	for n := first; n <= last; n++ {
		texts = append(texts, strconv.Itoa(n))
	}
	return texts
}

// config is a subscription to a queue group that is durable.
func (c *check) config(subject, group string) transport.SubscribeConfig {
	return transport.SubscribeConfig{
		Subject: subject, Group: group, Durable: group,
		Start: transport.All, AckWait: 30 * time.Second, MaxInFlight: 100,
	}
}

// inbox is a subscription that keeps what it gets.
type inbox struct {
	transport.Subscription
	c       *check
	arrived chan transport.Delivery
	ackWait time.Duration

	mu    sync.Mutex
	first map[uint64]time.Time // when each sequence came first
}

func (c *check) subscribe(conn transport.Conn, s transport.SubscribeConfig) *inbox {
	c.Helper()
	in := &inbox{c: c, arrived: make(chan transport.Delivery, 100_000), ackWait: s.AckWait, first: make(map[uint64]time.Time)}
	sub, err := conn.Subscribe(c.context(), s, in.put)
	if err != nil {
		c.Fatalf("subscribe: %v", err)
	}
	in.Subscription = sub
	c.Cleanup(in.leave)
	return in
}

// leave closes the subscription.
func (in *inbox) leave() {
	in.c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := in.Close(ctx); err != nil {
		in.c.Errorf("close subscription: %v", err)
	}
}

// next returns the next delivery.
func (in *inbox) next() transport.Delivery {
	in.c.Helper()
	d, ok := in.receive(patience)
	if !ok {
		in.c.Fatal("nothing was delivered")
	}
	return d
}

// receive returns the next delivery, if one comes within the time.
func (in *inbox) receive(within time.Duration) (transport.Delivery, bool) {
	select {
	case d := <-in.arrived:
		return d, true
	case <-time.After(within):
		return transport.Delivery{}, false
	}
}

// put keeps a delivery, unless it is the second of two that the broker sent at once.
//
// A broker without negative acknowledgement may do that with what is stored while a
// member joins its group: NATS Streaming's performDurableRedelivery does. Which of the
// two a delivery is shows when it arrives: a case may take it much later.
func (in *inbox) put(d transport.Delivery) {
	if !in.double(d) {
		in.arrived <- d
	}
}

// double reports whether d, which has just arrived, is the second of the two.
func (in *inbox) double(d transport.Delivery) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	first, had := in.first[d.Sequence]
	if !had {
		in.first[d.Sequence] = time.Now()
	}
	return had && d.Redelivered && d.Deliveries == 2 && !in.c.h.Features.Nak && time.Since(first) < in.ackWait/2
}

// take returns the next n deliveries, without settling them.
func (in *inbox) take(n int) []transport.Delivery {
	in.c.Helper()
	deliveries := make([]transport.Delivery, n)
	for i := range deliveries {
		deliveries[i] = in.next()
	}
	return deliveries
}

// expect takes as many deliveries as there are texts, fails unless they are these
// in this order, and acknowledges them.
func (in *inbox) expect(texts ...string) {
	in.c.Helper()
	for _, text := range texts {
		d := in.next()
		if string(d.Data) != text {
			in.c.Fatalf("delivered %q, want %q (of %q)", d.Data, text, texts)
		}
		in.c.ack(d)
	}
}

// quiet fails if something is delivered within d.
func (in *inbox) quiet(d time.Duration, why string) {
	in.c.Helper()
	if got, ok := in.receive(d); ok {
		in.c.Fatalf("%q was delivered: %s", got.Data, why)
	}
}

func (c *check) ack(d transport.Delivery) {
	c.Helper()
	if err := d.Settler.Ack(); err != nil {
		c.Fatalf("acknowledge %q: %v", d.Data, err)
	}
}

// is fails unless err matches target.
func (c *check) is(err, target error, what string) {
	c.Helper()
	if !errors.Is(err, target) {
		c.Fatalf("%s: error %v, want one that matches %q", what, err, target)
	}
}

// equal fails unless got is want.
func equal[T comparable](c *check, got, want T, what string) {
	c.Helper()
	if got != want {
		c.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// text describes deliveries in failures.
func text(deliveries []transport.Delivery) string {
	all := make([]string, len(deliveries))
	for i, d := range deliveries {
		all[i] = string(d.Data)
	}
	return fmt.Sprintf("%q", all)
}
