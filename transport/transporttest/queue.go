package transporttest

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

var queueCases = []testCase{
	{"a durable group goes on where it stopped", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		c.store(conn, subject, numbers(1, 3)...)
		in := c.subscribe(conn, c.config(subject, "g"))
		in.expect(numbers(1, 3)...)
		in.close()
		c.store(conn, subject, "4")
		c.subscribe(c.connect(), c.config(subject, "g")).expect("4")
	}},
	{"a durable without group goes on under its client ID", func(c *caseRun) {
		subject := c.subject("a")
		id := "durable-" + c.id
		s := c.config(subject, "")
		s.Durable = "mine"
		conn := c.connectAs(id)
		c.store(conn, subject, "1")
		c.subscribe(conn, s).expect("1")
		if err := conn.Close(c.context()); err != nil {
			c.Fatalf("close: %v", err)
		}
		again := c.connectAs(id)
		c.store(again, subject, "2")
		c.subscribe(again, s).expect("2")
	}},
	{"without durable it begins anew", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		c.store(conn, subject, "1")
		for _, group := range []string{"", "g"} {
			s := c.config(subject, group)
			s.Durable = ""
			for range 2 {
				in := c.subscribe(conn, s)
				in.expect("1")
				in.close()
			}
		}
	}},
	{"members of a group share", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		one, two := c.subscribe(c.connect(), c.config(subject, "g")), c.subscribe(c.connect(), c.config(subject, "g"))
		const n = 200
		c.store(conn, subject, numbers(1, n)...)
		seen := make(map[uint64]bool)
		counts := [2]int{}
		for len(seen) < n {
			var d transport.Delivery
			select {
			case d = <-one.arrived:
				counts[0]++
			case d = <-two.arrived:
				counts[1]++
			case <-time.After(caseTimeout):
				c.Fatalf("%d of %d were delivered", len(seen), n)
			}
			if seen[d.Sequence] {
				if d.Redelivered && d.Deliveries == 2 && !c.h.Features.Nak {
					continue // NATS Streaming's second of two, to either member
				}
				c.Fatalf("%q was delivered twice", d.Data)
			}
			seen[d.Sequence] = true
			c.ack(d)
		}
		if counts[0] == 0 || counts[1] == 0 {
			c.Fatalf("they did not share: %v", counts)
		}
	}},
	{"two groups are independent", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		one, two := c.subscribe(conn, c.config(subject, "one")), c.subscribe(conn, c.config(subject, "two"))
		c.store(conn, subject, numbers(1, 20)...)
		one.expect(numbers(1, 20)...)
		two.expect(numbers(1, 20)...)
	}},
	{"without a group each gets all", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "")
		one, two := c.subscribe(conn, s), c.subscribe(conn, s)
		c.store(conn, subject, numbers(1, 20)...)
		one.expect(numbers(1, 20)...)
		two.expect(numbers(1, 20)...)
	}},
	{"max in flight", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.MaxInFlight = 3
		in := c.subscribe(conn, s)
		c.store(conn, subject, numbers(1, 6)...)
		got := in.take(3)
		requireEqual(c, text(got), `["1" "2" "3"]`, "delivered first")
		in.expectNothing(300*time.Millisecond, "more than max in flight")
		for i, want := range numbers(4, 6) {
			c.ack(got[i])
			d := in.next()
			requireEqual(c, string(d.Data), want, "after an acknowledgement")
			got = append(got, d)
		}
		for _, d := range got[3:] {
			c.ack(d)
		}
	}},
	{"close keeps the durable", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		in := c.subscribe(conn, c.config(subject, "g"))
		c.store(conn, subject, numbers(1, 2)...)
		in.expect(numbers(1, 2)...)
		in.close()
		c.store(conn, subject, "3")
		c.subscribe(conn, c.config(subject, "g")).expect("3")
	}},
	{"delete drops the durable", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		in := c.subscribe(conn, s)
		c.store(conn, subject, "1")
		in.expect("1")
		in.close()
		for range 2 { // the second time there is none
			if err := conn.DeleteDurable(c.context(), s); err != nil {
				c.Fatalf("delete durable: %v", err)
			}
		}
		c.subscribe(conn, s).expect("1")
		s.Durable = ""
		c.requireIs(conn.DeleteDurable(c.context(), s), transport.ErrInvalid, "delete a durable without name")
	}},
	{"what a member leaves goes to the others at once", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		one := c.subscribe(c.connect(), c.config(subject, "g"))
		c.store(conn, subject, numbers(1, 4)...)
		one.take(4)
		two := c.subscribe(c.connect(), c.config(subject, "g"))
		one.close()
		got := two.take(4)
		slices.SortFunc(got, func(a, b transport.Delivery) int { return int(a.Sequence) - int(b.Sequence) })
		requireEqual(c, text(got), `["1" "2" "3" "4"]`, "delivered to the other")
		for _, d := range got {
			requireEqual(c, d.Redelivered, true, "redelivered")
			c.ack(d)
		}
	}},
}
