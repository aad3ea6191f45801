package transporttest

import (
	"time"

	"github.com/sgtickets/common/transport"
)

var lifeCases = []testCase{
	{"the end of a subscription", func(c *caseRun) {
		conn := c.connect()
		in := c.subscribe(conn, c.config(c.subject("a"), "g"))
		select {
		case <-in.Done():
			c.Fatal("it is over before it was closed")
		default:
		}
		if err := in.Err(); err != nil {
			c.Fatalf("error before the end: %v", err)
		}
		in.close()
		<-in.Done()
		c.requireIs(in.Err(), transport.ErrClosed, "error after the end")
		in.close() // again
	}},
	{"the end of a connection", func(c *caseRun) {
		conn := c.connect()
		in := c.subscribe(conn, c.config(c.subject("a"), "g"))
		if err := conn.Err(); err != nil {
			c.Fatalf("error before the end: %v", err)
		}
		for range 2 {
			if err := conn.Close(c.context()); err != nil {
				c.Fatalf("close: %v", err)
			}
		}
		<-conn.Done()
		c.requireIs(conn.Err(), transport.ErrClosed, "error after the end")
		select {
		case <-in.Done():
		case <-time.After(caseTimeout):
			c.Fatal("the subscription goes on without its connection")
		}
	}},
	{"use after close", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		if err := conn.Close(c.context()); err != nil {
			c.Fatalf("close: %v", err)
		}
		err := c.publish(conn, transport.Message{Subject: subject})
		c.requireIs(err, transport.ErrNotStored, "publish")
		c.requireIs(err, transport.ErrClosed, "publish")
		_, err = conn.Subscribe(c.context(), c.config(subject, "g"), func(transport.Delivery) {})
		c.requireIs(err, transport.ErrClosed, "subscribe")
		c.requireIs(conn.DeleteDurable(c.context(), c.config(subject, "g")), transport.ErrClosed, "delete durable")
	}},
	{"close waits for publishes", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		const n = 200
		outcomes := make(chan error, n)
		for range n {
			conn.Publish(transport.Message{Subject: subject, Data: []byte("x")}, transport.ReceiptFunc(func(err error) { outcomes <- err }))
		}
		if err := conn.Close(c.context()); err != nil {
			c.Fatalf("close: %v", err)
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
	}},
	{"arguments that can't be are refused", func(c *caseRun) {
		conn := c.connect()
		s := c.config(c.subject("a"), "g")
		s.MaxInFlight = 0
		_, err := conn.Subscribe(c.context(), s, func(transport.Delivery) {})
		c.requireIs(err, transport.ErrInvalid, "subscribe with max in flight 0")
	}},
}
