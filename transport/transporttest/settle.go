package transporttest

import (
	"time"

	"github.com/sgtickets/common/transport"
)

var settleCases = []testCase{
	{"redelivery after the ack wait, counted", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait = c.h.AckWait
		in := c.subscribe(conn, s)
		begun := time.Now() // before the first delivery: a busy machine may hand that up late
		c.store(conn, subject, "1")
		first := in.next()
		for n := range 2 {
			again := in.next()
			requireEqual(c, again.Sequence, first.Sequence, "sequence")
			requireEqual(c, again.Timestamp, first.Timestamp, "timestamp")
			requireEqual(c, again.Redelivered, true, "redelivered")
			if again.Deliveries != 0 && again.Deliveries <= first.Deliveries {
				c.Fatalf("deliveries: %d after %d", again.Deliveries, first.Deliveries)
			}
			if waited, least := time.Since(begun), time.Duration(n+1)*c.h.AckWait*9/10; waited < least {
				c.Fatalf("delivery %d came after %v, before %v: the ack wait is %v", n+2, waited, least, c.h.AckWait)
			}
			first.Settler.Release() // the later delivery is settled
			first = again
		}
		c.ack(first)
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged")
	}},
	{"an acknowledged message does not come again", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait = c.h.AckWait
		in := c.subscribe(conn, s)
		c.store(conn, subject, numbers(1, 3)...)
		in.expect(numbers(1, 3)...)
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged")
	}},
	{"an unacknowledged message is not lost with its subscription", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		in := c.subscribe(conn, c.config(subject, "g"))
		c.store(conn, subject, "1")
		in.take(1)
		in.close()
		c.subscribe(conn, c.config(subject, "g")).expect("1")
	}},
	{"acknowledging later, from another goroutine", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait = c.h.AckWait
		in := c.subscribe(conn, s)
		c.store(conn, subject, "1")
		d := in.next()
		acknowledged := make(chan error)
		time.AfterFunc(c.h.AckWait/2, func() { acknowledged <- d.Settler.Ack() })
		if err := <-acknowledged; err != nil {
			c.Fatalf("acknowledge: %v", err)
		}
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged")
	}},
	{"acknowledging twice does no harm", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.MaxInFlight = 1
		in := c.subscribe(conn, s)
		c.store(conn, subject, numbers(1, 3)...)
		d := in.next()
		c.ack(d)
		_ = d.Settler.Ack()
		in.expect("2", "3")
	}},
	{"a late acknowledgement counts", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait = c.h.AckWait
		in := c.subscribe(conn, s)
		c.store(conn, subject, "1")
		first := in.next()
		in.next() // it came again
		c.ack(first)
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged, late")
	}},
	{"acknowledging after close", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		in := c.subscribe(conn, c.config(subject, "g"))
		c.store(conn, subject, "1")
		d := in.next()
		in.close()
		c.requireIs(d.Settler.Ack(), transport.ErrSubscriptionClosed, "acknowledge after close")
		c.subscribe(conn, c.config(subject, "g")).expect("1")
	}},
	{"drain: stop, acknowledge, close", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		in := c.subscribe(conn, c.config(subject, "g"))
		c.store(conn, subject, numbers(1, 2)...)
		got := in.take(2)
		in.Stop()
		in.Stop() // again
		c.store(conn, subject, "3")
		in.expectNothing(300*time.Millisecond, "after Stop")
		for _, d := range got {
			c.ack(d)
		}
		in.close()
		c.subscribe(conn, c.config(subject, "g")).expect("3")
	}},
}
