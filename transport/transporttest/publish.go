package transporttest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

var publishCases = []testCase{
	{"publish and store", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		before := time.Now()
		c.store(conn, subject, "one", "two")
		in := c.subscribe(c.connect(), c.config(subject, "g"))
		last := uint64(0)
		for _, want := range []string{"one", "two"} {
			d := in.next()
			requireEqual(c, string(d.Data), want, "data")
			requireEqual(c, d.Subject, subject, "subject")
			if d.Sequence <= last {
				c.Fatalf("sequence: %d after %d", d.Sequence, last)
			}
			last = d.Sequence
			requireEqual(c, d.Redelivered, false, "redelivered")
			if d.Deliveries > 1 {
				c.Fatalf("deliveries: %d for the first", d.Deliveries)
			}
			if d.Timestamp.Before(before.Add(-time.Minute)) || d.Timestamp.After(time.Now().Add(time.Minute)) {
				c.Fatalf("timestamp %v is not when it was stored", d.Timestamp)
			}
			c.ack(d)
		}
	}},
	{"many publishes in flight", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		const n = 2000
		outcomes := make(chan error, n)
		var data []byte // used again each time: it is copied
		for i := range n {
			data = strconv.AppendInt(data[:0], int64(i+1), 10)
			conn.Publish(transport.Message{Subject: subject, Data: data}, transport.ReceiptFunc(func(err error) { outcomes <- err }))
		}
		for range n {
			select {
			case err := <-outcomes:
				if err != nil {
					c.Fatalf("publish: %v", err)
				}
			case <-time.After(caseTimeout):
				c.Fatal("the outcome of a publish was never reported")
			}
		}
		c.subscribe(conn, c.config(subject, "g")).expect(numbers(1, n)...)
	}},
	{"large and empty payloads", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		large := bytes.Repeat([]byte("x"), c.h.MaxPayload/2)
		for _, data := range [][]byte{large, {}, []byte("\x00\xff binary")} {
			if err := c.publish(conn, transport.Message{Subject: subject, Data: data}); err != nil {
				c.Fatalf("publish %d bytes: %v", len(data), err)
			}
		}
		in := c.subscribe(conn, c.config(subject, "g"))
		requireEqual(c, len(in.next().Data), len(large), "length")
		requireEqual(c, len(in.next().Data), 0, "length")
		requireEqual(c, string(in.next().Data), "\x00\xff binary", "data")
	}},
	{"oversize payloads are refused", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		err := c.publish(conn, transport.Message{Subject: subject, Data: make([]byte, 9*c.h.MaxPayload)})
		c.requireIs(err, transport.ErrTooLarge, "publish")
		c.requireIs(err, transport.ErrNotStored, "publish")
		c.store(conn, subject, "fits")
		c.subscribe(conn, c.config(subject, "g")).expect("fits")
	}},
	{"many subjects", func(c *caseRun) {
		conn := c.connect()
		const n = 20
		for i := range n {
			c.store(conn, c.subject(strconv.Itoa(i)), strconv.Itoa(i))
		}
		for i := range n {
			c.subscribe(conn, c.config(c.subject(strconv.Itoa(i)), "g")).expect(strconv.Itoa(i))
		}
	}},
	{"abandon reports the outcome at once", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		for range 100 {
			outcome := make(chan error, 2)
			conn.Abandon(conn.Publish(transport.Message{Subject: subject, Data: []byte("x")},
				transport.ReceiptFunc(func(err error) { outcome <- err })))
			select {
			case err := <-outcome:
				if err != nil && !errors.Is(err, transport.ErrNotStored) { // it has not left yet
					c.requireIs(err, transport.ErrOutcomeUnknown, "abandoned publish")
				}
			case <-time.After(time.Second):
				c.Fatal("the outcome of an abandoned publish was not reported at once")
			}
			if len(outcome) > 0 {
				c.Fatal("the outcome of a publish was reported twice")
			}
		}
		conn.Abandon(0) // of nobody
	}},
	{"concurrent use", func(c *caseRun) {
		conn := c.connect()
		const writers, each = 8, 50
		var wg sync.WaitGroup
		for w := range writers {
			subject := c.subject(strconv.Itoa(w % 2))
			in := c.subscribe(conn, c.config(subject, "g"+strconv.Itoa(w)))
			wg.Go(func() {
				for range each {
					outcome := make(chan error, 1)
					conn.Publish(transport.Message{Subject: subject, Data: []byte("x")}, transport.ReceiptFunc(func(err error) { outcome <- err }))
					select {
					case err := <-outcome:
						if err != nil {
							c.Errorf("publish: %v", err)
						}
					case <-time.After(caseTimeout):
						c.Error("the outcome of a publish was never reported")
						return
					}
				}
			})
			wg.Go(func() {
				for range each * writers / 2 {
					select {
					case d := <-in.arrived:
						if err := d.Settler.Ack(); err != nil {
							c.Errorf("acknowledge: %v", err)
						}
					case <-time.After(caseTimeout):
						c.Error("not all were delivered")
						return
					}
				}
			})
		}
		wg.Wait()
	}},
	{"cancelled contexts", func(c *caseRun) {
		conn := c.connect()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := conn.Subscribe(ctx, c.config(c.subject("a"), "g"), func(transport.Delivery) {})
		c.requireIs(err, context.Canceled, "subscribe")
		c.requireIs(conn.DeleteDurable(ctx, c.config(c.subject("a"), "g")), context.Canceled, "delete durable")
		_, err = c.dial(ctx, transport.Config{ClusterID: c.clusterID(), ClientID: "cancelled-" + c.id, URL: c.h.URL})
		c.requireIs(err, context.Canceled, "dial")
		c.store(conn, c.subject("a"), "still works")
	}},
}
