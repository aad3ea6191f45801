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

	handled map[identity]bool // see simWant
}

// subscribe is conn.Subscribe.
func (c *simClient) subscribe(t *lane, want *simWant) {
	if c.conn.supervisor.phase == phaseOver {
		return // as conn.Subscribe: there is another process by now
	}
	if want.durable == "" {
		want.handled = make(map[identity]bool) // another one than before, who begins anew
	}
	l := &simListener{client: c, want: want, handled: want.handled, box: c.lane(), done: make(map[identity]bool)}
	l.sub = &subscription{
		Ending: lifecycle.NewEnding(), conn: c.conn, deliver: l.deliver, state: &subscriptionState{}, asked: make(chan error, 1),
		config: transport.SubscribeConfig{
			Subject: "c", Durable: want.durable, Group: want.group, AckWait: time.Second, MaxInFlight: 3,
			Interrupted: func() { l.box.todo = nil },
		},
	}
	l.sub.state.shell = l.sub
	l.sub.place = c.conn.placeOf(l.sub.config)
	l.sub.reopen = func() {
		t := c.lane()
		t.add(func() { c.step(t, func(sup *supervisor) { sup.reopen(l.sub.state) }) })
	}
	if want.durable == "" {
		l.sub.resume = &resume{}
	}
	c.listeners = slices.DeleteFunc(c.listeners, func(o *simListener) bool { return o.want == want })
	c.listeners = append(c.listeners, l)
	c.step(t, func(sup *supervisor) { sup.subscribe(l.sub.state) })
}

// leaveListener is subscription.Close, of a listener that comes again some time.
func (c *simClient) leaveListener(l *simListener) {
	l.sub.Stop()
	t := c.lane()
	var inner stan.Subscription
	var session uint64
	c.step(t, func(sup *supervisor) { inner, session = sup.remove(l.sub.state), sup.sessionNo })
	if inner != nil {
		t.add(func() {
			innerOf(inner).close(t, func(err error) {
				c.step(t, func(sup *supervisor) { sup.onInnerClosed(inner, session, err) })
			})
		})
	}
	c.later(func(t *lane) { c.subscribe(t, l.want) })
}

// join is conn.openSubscription.
func (c *simClient) join(t *lane, e effect) {
	w, sub := sessionOf(e.session), e.sub.shell
	if c.sim.trap == neverReopen && e.inner != nil {
		innerOf(e.inner).epoch = e.epoch
		c.step(t, func(sup *supervisor) { sup.onOpened(e.sub, e.epoch, e.sessionNo, e.inner, nil) })
		return
	}
	open := func(err error) {
		if isUnheard(err) || isForgotten(err) {
			c.step(t, func(sup *supervisor) { sup.onOpened(e.sub, e.epoch, e.sessionNo, e.inner, err) })
			return
		}
		w.open(t, e.epoch, sub.nextConfig(), sub.receive, func(inner stan.Subscription, err error) {
			if err == nil && sub.awaitsFirst() {
				c.later(func(*lane) { sub.checkStoreAgain(e.epoch) })
			}
			c.sim.notef("%s has joined in epoch %d for %s: %v", c.id, e.epoch, c.sim.wantOf(sub.config).name, err)
			c.step(t, func(sup *supervisor) { sup.onOpened(e.sub, e.epoch, e.sessionNo, inner, err) })
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
	if r, ok := event.(*placed); ok {
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
			l.handled[a.event] = true
			l.done[id] = true
		}
		_ = d.Settler.Ack()
	})
}
