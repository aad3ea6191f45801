package transporttest

import (
	"errors"
	"time"

	"github.com/sgtickets/common/transport"
)

// deliverOne stores a message and returns its delivery, which is not settled yet.
func (c *caseRun) deliverOne(ackWait time.Duration) (*collector, transport.Delivery) {
	c.Helper()
	conn, subject := c.connect(), c.subject("a")
	s := c.config(subject, "g")
	s.AckWait = ackWait
	in := c.subscribe(conn, s)
	c.store(conn, subject, "1")
	d := in.next()
	return in, d
}

// featureCases test each feature if it is declared, and otherwise that it is refused.
var featureCases = []testCase{
	{"declared features are the connection's", func(c *caseRun) {
		requireEqual(c, c.connect().Features(), c.h.Features, "features")
	}},
	{"headers", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		err := c.publish(conn, transport.Message{Subject: subject, Data: []byte("1"), Header: transport.Header{"Ce-Type": {"test"}, "Two": {"a", "b"}}})
		if !c.h.Features.Headers {
			c.requireIs(err, transport.ErrUnsupported, "publish with headers")
			c.requireIs(err, transport.ErrNotStored, "publish with headers")
			return
		}
		if err != nil {
			c.Fatalf("publish with headers: %v", err)
		}
		d := c.subscribe(conn, c.config(subject, "g")).next()
		if len(d.Header["Ce-Type"]) != 1 || d.Header["Ce-Type"][0] != "test" || len(d.Header["Two"]) != 2 {
			c.Fatalf("headers: %v", d.Header)
		}
		c.ack(d)
	}},
	{"negative acknowledgement", func(c *caseRun) {
		in, d := c.deliverOne(30 * time.Second)
		err := d.Settler.Nak(0)
		if !c.h.Features.Nak {
			c.requireIs(err, transport.ErrUnsupported, "Nak")
			c.ack(d)
			return
		}
		if err != nil {
			c.Fatalf("Nak: %v", err)
		}
		again := in.next()
		requireEqual(c, again.Sequence, d.Sequence, "sequence")
		requireEqual(c, again.Deliveries, 2, "deliveries")
		c.ack(again)
	}},
	{"negative acknowledgement with a delay", func(c *caseRun) {
		if !c.h.Features.Nak {
			return // that it is refused is the case before
		}
		in, d := c.deliverOne(30 * time.Second)
		begun := time.Now()
		if err := d.Settler.Nak(time.Second); err != nil {
			c.Fatalf("Nak: %v", err)
		}
		again := in.next()
		if waited := time.Since(begun); waited < 900*time.Millisecond {
			c.Fatalf("delivered again after %v, before the delay of 1 s", waited)
		}
		c.ack(again)
	}},
	{"extending the ack wait", func(c *caseRun) {
		in, d := c.deliverOne(c.h.AckWait)
		err := d.Settler.InProgress()
		if !c.h.Features.InProgress {
			c.requireIs(err, transport.ErrUnsupported, "InProgress")
			c.ack(d)
			return
		}
		for range 4 {
			if err := d.Settler.InProgress(); err != nil {
				c.Fatalf("InProgress: %v", err)
			}
			in.expectNothing(c.h.AckWait*6/10, "although in progress")
		}
		c.ack(d)
	}},
	{"ending a message for good", func(c *caseRun) {
		in, d := c.deliverOne(c.h.AckWait)
		err := d.Settler.Term("test")
		if !c.h.Features.Term {
			c.requireIs(err, transport.ErrUnsupported, "Term")
			c.ack(d)
			return
		}
		if err != nil {
			c.Fatalf("Term: %v", err)
		}
		in.expectNothing(c.h.AckWait*3/2, "although ended")
	}},
	{"deduplication by message ID", func(c *caseRun) {
		if !c.h.Features.Deduplicate {
			return // an ID that means nothing does no harm: the subject would hold two
		}
		conn, subject := c.connect(), c.subject("a")
		for _, id := range []string{"x", "x", "y"} {
			if err := c.publish(conn, transport.Message{Subject: subject, ID: id + c.id, Data: []byte(id)}); err != nil {
				c.Fatalf("publish: %v", err)
			}
		}
		c.subscribe(conn, c.config(subject, "g")).expect("x", "y")
	}},
	{"patterns of subjects", func(c *caseRun) {
		conn := c.connect()
		c.store(conn, c.subject("orders.a"), "1")
		in, err := conn.Subscribe(c.context(), c.config(c.subject("orders.>"), "g"), func(transport.Delivery) {})
		if !c.h.Features.Wildcards {
			c.requireIs(err, transport.ErrUnsupported, "subscribe to a pattern")
			return
		}
		if err != nil {
			c.Fatalf("subscribe to a pattern: %v", err)
		}
		if err := in.Close(c.context()); err != nil {
			c.Fatalf("close: %v", err)
		}
		all, tokens := c.subscribe(conn, c.config(c.subject("orders.>"), "g")), c.subscribe(conn, c.config(c.subject("*.b"), "g"))
		c.store(conn, c.subject("payments.b"), "not orders")
		c.store(conn, c.subject("orders.b.c"), "2")
		c.store(conn, c.subject("tickets.b"), "3")
		for i, name := range []string{"orders.a", "orders.b.c"} {
			d := all.next()
			requireEqual(c, d.Subject, c.subject(name), "subject")
			requireEqual(c, string(d.Data), numbers(1, 2)[i], "data")
			c.ack(d)
		}
		tokens.expect("not orders", "3")
		all.expectNothing(c.h.AckWait*3/2, "though not of its subjects, or acknowledged")
	}},
	{"checking a subject that is stored", func(c *caseRun) {
		checker, ok := c.connect().(transport.SubjectChecker)
		if !ok {
			return // this broker stores every subject
		}
		if err := checker.CheckSubject(c.context(), c.subject("a")); err != nil {
			c.Fatalf("check a subject that the broker stores: %v", err)
		}
		adder, ok := checker.(transport.SubjectAdder)
		if !ok {
			return // it can't be told to store others
		}
		if !adder.Takes(c.subject("a")) {
			c.Fatalf("Takes is false for a subject that the broker stores")
		}
		if err := adder.AddSubject(c.context(), c.subject("a")); err != nil {
			c.Fatalf("add a subject that the broker stores: %v", err)
		}
	}},
	{"what waits at the broker", func(c *caseRun) {
		conn, s := c.connect(), c.config(c.subject("a"), "g")
		s.MaxInFlight = 1
		in := c.subscribe(conn, s)
		counter, ok := in.Subscription.(transport.BacklogCounter)
		if !ok {
			return // the transport can't ask this broker
		}
		c.requireBacklog(counter, 0)
		c.store(conn, s.Subject, numbers(1, 3)...)
		first := in.next()
		c.requireBacklog(counter, 2)
		c.ack(first)
		in.expect(numbers(2, 3)...)
		c.requireBacklog(counter, 0)
	}},
	{"the unit of the ack wait", func(c *caseRun) {
		conn := c.connect()
		for wait, ok := range map[time.Duration]bool{
			0: false, -time.Second: false, time.Second: true, 1500 * time.Millisecond: c.h.Features.AckWaitUnit == 0,
		} {
			s := c.config(c.subject("a"), "g")
			s.Durable, s.Group, s.AckWait = "", "", wait
			sub, err := conn.Subscribe(c.context(), s, func(transport.Delivery) {})
			if !ok {
				c.requireIs(err, transport.ErrInvalid, "subscribe with an ack wait of "+wait.String())
				continue
			}
			if err != nil {
				c.Fatalf("subscribe with an ack wait of %v: %v", wait, err)
			}
			_ = sub.Close(c.context())
		}
	}},
}

// requireBacklog fails the case unless the broker says in the end that so many messages wait.
// Where it can't say, nothing is required.
func (c *caseRun) requireBacklog(counter transport.BacklogCounter, want uint64) {
	c.Helper()
	ctx := c.context()
	for {
		got, err := counter.Backlog(ctx)
		switch {
		case errors.Is(err, transport.ErrUnsupported), err == nil && got == want:
			return
		case err != nil:
			c.Fatalf("%d messages wait, want %d: %v", got, want, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
