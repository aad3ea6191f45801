package transporttest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
)

// caseTimeout is how long a case waits for something that must happen.
const caseTimeout = time.Minute

// caseRun is one run of one case: the test, the harness, and what cases are written with.
type caseRun struct {
	*testing.T
	h    Harness
	dial transport.Dialer
	id   string // part of every name that this run uses, so that runs do not share subjects
}

func newCaseRun(t *testing.T, h Harness) *caseRun {
	t.Helper()
	return &caseRun{T: t, h: h, dial: h.Open(t), id: rand.Text()[:10]}
}

// subject returns a subject of this run.
func (c *caseRun) subject(name string) string { return "conformance." + c.id + "." + name }

// connect returns a connection under a new client ID. It is closed at the end of the case.
func (c *caseRun) connect() transport.Conn {
	c.Helper()
	return c.connectAs("conformance-" + rand.Text())
}

// connectAs is connect under the given client ID.
func (c *caseRun) connectAs(clientID string) transport.Conn {
	c.Helper()
	conn, err := c.dial(c.context(), transport.Config{
		ClusterID: c.clusterID(), ClientID: clientID, URL: c.h.URL, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.Fatalf("connect: %v", err)
	}
	c.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			c.Errorf("close: %v", err)
		}
	})
	return conn
}

func (c *caseRun) clusterID() string {
	if c.h.ClusterID == "" {
		return "conformance"
	}
	return c.h.ClusterID
}

// context returns a context that ends after caseTimeout.
func (c *caseRun) context() context.Context {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	c.Cleanup(cancel)
	return ctx
}

// publish publishes m, waits for the outcome and returns it.
func (c *caseRun) publish(conn transport.Conn, m transport.Message) error {
	c.Helper()
	outcome := make(chan error, 1)
	conn.Publish(m, transport.ReceiptFunc(func(err error) { outcome <- err }))
	select {
	case err := <-outcome:
		return err
	case <-time.After(caseTimeout):
		c.Fatalf("the outcome of a publish was never reported")
		return nil
	}
}

// store publishes the texts one after the other, and fails the case if one is not stored.
func (c *caseRun) store(conn transport.Conn, subject string, texts ...string) {
	c.Helper()
	for _, text := range texts {
		if err := c.publish(conn, transport.Message{Subject: subject, Data: []byte(text)}); err != nil {
			c.Fatalf("publish %q: %v", text, err)
		}
	}
}

// numbers returns the numbers first to last as texts.
func numbers(first, last int) []string {
	texts := make([]string, 0, last-first+1)
	for n := first; n <= last; n++ {
		texts = append(texts, strconv.Itoa(n))
	}
	return texts
}

// config returns the configuration of a durable queue group that begins at the oldest message.
func (c *caseRun) config(subject, group string) transport.SubscribeConfig {
	return transport.SubscribeConfig{
		Subject: subject, Group: group, Durable: group,
		Start: transport.All, AckWait: 30 * time.Second, MaxInFlight: 100,
	}
}
