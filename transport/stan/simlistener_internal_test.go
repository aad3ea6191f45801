package stan

import (
	"slices"
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// simListener is the least that a listener does: it handles what is handed up, on a
// goroutine of its own, and acknowledges again what it has handled before.
type simListener struct {
	client *simClient
	want   *simWant
	sub    *subscription
	box    *lane
	done   map[identity]bool
}

// subscribe is conn.Subscribe.
func (c *simClient) subscribe(t *lane, want *simWant) {
	l := &simListener{client: c, want: want, box: c.lane(), done: make(map[identity]bool)}
	l.sub = &subscription{
		Ending: lifecycle.NewEnding(), conn: c.conn, deliver: l.deliver, member: &member{}, asked: make(chan error, 1),
		config: transport.SubscribeConfig{
			Subject: "c", Durable: want.durable, Group: want.group, AckWait: time.Second, MaxInFlight: 3,
			Interrupted: func() { l.box.todo = nil },
		},
	}
	l.sub.member.sub = l.sub
	l.sub.rejoin = func() {
		t := c.lane()
		t.add(func() { c.step(t, func(m *machine) { m.rejoin(l.sub.member) }) })
	}
	if want.durable == "" {
		l.sub.resume = &resume{}
		clear(want.handled) // its next one is another, and begins anew
	}
	c.listeners = slices.DeleteFunc(c.listeners, func(o *simListener) bool { return o.want == want })
	c.listeners = append(c.listeners, l)
	c.step(t, func(m *machine) { m.subscribe(l.sub.member) })
}

// leaveListener is subscription.Close, of a listener that comes again some time.
func (c *simClient) leaveListener(l *simListener) {
	l.sub.Stop()
	t := c.lane()
	var inner stan.Subscription
	var session uint64
	c.step(t, func(m *machine) { inner, session = m.remove(l.sub.member), m.session })
	if inner != nil {
		t.add(func() {
			innerOf(inner).close(t, func(err error) {
				c.step(t, func(m *machine) { m.left(inner, session, err) })
			})
		})
	}
	c.later(func(t *lane) { c.subscribe(t, l.want) })
}

// join is conn.join.
func (c *simClient) join(t *lane, e effect) {
	w, sub := wireOf(e.wire), e.member.sub
	if c.sim.trap == neverReopen && e.inner != nil {
		innerOf(e.inner).epoch = e.epoch
		c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, e.inner, nil) })
		return
	}
	open := func(err error) {
		if isUnheard(err) {
			c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, e.inner, err) })
			return
		}
		w.open(t, e.epoch, sub.begin(), sub.receive, func(inner stan.Subscription, err error) {
			if err == nil && sub.awaits() {
				c.later(func(*lane) { sub.doubt(e.epoch) })
			}
			c.sim.notef("%s has joined in epoch %d for %s: %v", c.id, e.epoch, c.sim.wantOf(sub.config).name, err)
			c.step(t, func(m *machine) { m.joined(e.member, e.epoch, e.session, inner, err) })
		})
	}
	if e.inner != nil {
		innerOf(e.inner).close(t, open)
	} else {
		open(nil)
	}
}

func (l *simListener) deliver(d transport.Delivery) {
	event := d.Settler
	if r, ok := event.(*resuming); ok {
		event = r.Settler
	}
	a := event.(*simSettler)
	a.in.handed[d.Sequence] = true
	id := a.event
	if l.client.sim.trap == handleBySequence {
		id.stored = 0
	}
	l.box.add(func() {
		if !l.done[id] {
			if l.client.sim.trouble && l.client.sim.chance(5) {
				return // the handler fails
			}
			l.want.handled[a.event] = true
			l.done[id] = true
		}
		_ = d.Settler.Ack()
	})
}
