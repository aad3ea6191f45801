package transporttest

// releaseCases are about Settler.Release: the receiver says that it will not settle the
// delivery.
var releaseCases = []testCase{
	{"a released message comes again after its ack wait", func(c *caseRun) {
		in, d := c.deliverOne(c.h.AckWait)
		d.Settler.Release()
		d.Settler.Release() // a second call does nothing
		in.expectNothing(c.h.AckWait/2, "although its ack wait has not passed since it was released")
		again := in.next()
		requireEqual(c, again.Sequence, d.Sequence, "sequence")
		requireEqual(c, again.Redelivered, true, "redelivered")
		c.ack(again)
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged")
	}},
	{"a released message can still be acknowledged", func(c *caseRun) {
		in, d := c.deliverOne(c.h.AckWait)
		d.Settler.Release()
		c.ack(d)
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged after it was released")
	}},
	{"a released message can still be given back", func(c *caseRun) {
		if !c.h.Features.Nak {
			return // "negative acknowledgement" tests that it is refused
		}
		in, d := c.deliverOne(c.h.AckWait)
		d.Settler.Release()
		if err := d.Settler.Nak(0); err != nil {
			c.Fatalf("Nak after Release: %v", err)
		}
		again := in.next()
		requireEqual(c, again.Sequence, d.Sequence, "sequence")
		c.ack(again)
	}},
	{"releasing what is settled or closed does nothing", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait = c.h.AckWait
		in := c.subscribe(conn, s)
		c.store(conn, subject, "1")
		d := in.next()
		c.ack(d)
		d.Settler.Release()
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged before it was released")
		in.close()
		d.Settler.Release()
		if err := conn.Close(c.context()); err != nil {
			c.Fatalf("close: %v", err)
		}
		d.Settler.Release()
	}},
	{"a released message comes again, and takes no room meanwhile", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		s := c.config(subject, "g")
		s.AckWait, s.MaxInFlight = c.h.AckWait, 1
		in := c.subscribe(conn, s)
		c.store(conn, subject, numbers(1, 2)...)
		first := in.next()
		first.Settler.Release()
		first.Settler.Release() // again
		seen := make(map[string]bool)
		for !seen["1"] || !seen["2"] {
			d := in.next()
			seen[string(d.Data)] = true
			c.ack(d)
		}
		in.expectNothing(c.h.AckWait*3/2, "although acknowledged")
	}},
}
