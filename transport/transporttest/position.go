package transporttest

import (
	"time"

	"github.com/sgtickets/common/transport"
)

// startTolerance is how much too early a broker may begin whose protocol does not carry
// the start time exactly.
const startTolerance = 2 * time.Second

// startsAt returns a case that stores 1 to 5, subscribes at the position and expects want.
func startsAt(p func(third, fourth transport.Delivery) transport.Position, want ...string) func(*caseRun) {
	return func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		c.store(conn, subject, numbers(1, 3)...)
		first := c.subscribe(conn, c.config(subject, "before"))
		third := first.take(3)[2]
		<-time.After(startTolerance + 200*time.Millisecond)
		c.store(conn, subject, numbers(4, 5)...)
		fourth := first.next()

		s := c.config(subject, "g")
		s.Start = p(third, fourth)
		in := c.subscribe(conn, s)
		in.expect(want...)
		c.store(conn, subject, "6")
		in.expect("6")
	}
}

func fixed(p transport.Position) func(_, _ transport.Delivery) transport.Position {
	return func(_, _ transport.Delivery) transport.Position { return p }
}

var positionCases = []testCase{
	{"start at all", startsAt(fixed(transport.All), "1", "2", "3", "4", "5")},
	{"start at new only", startsAt(fixed(transport.NewOnly))},
	{"start at last received: the last value", startsAt(fixed(transport.LastReceived), "5")},
	{"start at a sequence", startsAt(func(third, _ transport.Delivery) transport.Position { return transport.Sequence(third.Sequence) }, "3", "4", "5")},
	{"start at a time", startsAt(func(_, fourth transport.Delivery) transport.Position { return transport.Since(fourth.Timestamp) }, "4", "5")},
	{"start some time ago", startsAt(func(_, fourth transport.Delivery) transport.Position {
		return transport.Ago(time.Since(fourth.Timestamp) + 50*time.Millisecond)
	}, "4", "5")},
	{"start at all of an empty subject", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		in := c.subscribe(conn, c.config(subject, "g"))
		c.store(conn, subject, "1")
		in.expect("1")
	}},
	{"replay in order", func(c *caseRun) {
		conn, subject := c.connect(), c.subject("a")
		const n = 300
		c.store(conn, subject, numbers(1, n)...)
		c.subscribe(conn, c.config(subject, "g")).expect(numbers(1, n)...)
		c.subscribe(conn, c.config(subject, "again")).expect(numbers(1, n)...)
	}},
	{"positions that can't be are refused", func(c *caseRun) {
		conn := c.connect()
		for _, p := range []transport.Position{transport.Sequence(0), transport.Since(time.Time{}), transport.Ago(-1)} {
			s := c.config(c.subject("a"), "g")
			s.Start = p
			_, err := conn.Subscribe(c.context(), s, func(transport.Delivery) {})
			c.requireIs(err, transport.ErrInvalid, "subscribe at "+p.String())
		}
	}},
}
