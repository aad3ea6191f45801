package memory

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// groupKey is what a channel knows a group by. A subscription that shares with
// nobody has a key of its own.
type groupKey struct {
	durable, group string
	clientID       string        // of a durable without a group
	alone          *subscription // of a subscription with neither
}

func keyOf(c *conn, s transport.SubscribeConfig) groupKey {
	k := groupKey{durable: s.Durable, group: s.Group}
	if s.Group == "" {
		k.clientID = c.clientID
	}
	return k
}

// group is a queue group, a durable or a single subscription: how far it has come
// in its channel, and who its members are. The broker's lock guards it.
type group struct {
	channel *channel
	key     groupKey
	next    uint64              // the first sequence that was never sent
	pending map[uint64]*pending // sent, not acknowledged
	again   []uint64            // of pending: to be sent again
	members []*subscription
	turn    int         // which member is next
	timer   *time.Timer // fires when the earliest of pending is due, or before
	fires   time.Time   // when it does
}

// pending is a message that was sent and not acknowledged.
type pending struct {
	sequence   uint64
	member     *subscription // who has it; nil when it waits in again, or is delayed
	delayed    bool          // given back, to be sent again when it is due
	due        time.Time     // when it is sent again
	deliveries int
}

// join adds a member to its group, which comes into being with its first one.
func (ch *channel) join(s *subscription) error {
	defect := ch.broker.options.defect
	key := keyOf(s.conn, s.config)
	if s.config.Durable == "" && s.config.Group == "" || defect == sharesNothing {
		key.alone = s
	}
	if defect == mixesGroups {
		key.group, key.durable = "", ""
	}
	g, ok := ch.groups[key]
	if !ok {
		start := s.config.Start
		if defect == ignoresPosition {
			start = transport.All
		}
		g = &group{channel: ch, key: key, next: ch.first(start), pending: make(map[uint64]*pending)}
		ch.groups[key] = g
	}
	if key.group == "" && key.durable != "" && len(g.members) > 0 {
		return fmt.Errorf("%w: another subscription of this client holds the durable %q", transport.ErrRefused, key.durable)
	}
	s.group = g
	g.members = append(g.members, s)
	g.dispatch()
	return nil
}

// leave takes a member out. What it has goes to the others at once.
func (g *group) leave(s *subscription) {
	i := slices.Index(g.members, s)
	if i < 0 {
		return
	}
	g.members = slices.Delete(g.members, i, i+1)
	for _, p := range g.pending {
		if p.member == s {
			g.back(p)
		}
	}
	forgets := g.channel.broker.options.defect == forgetsDurable
	if len(g.members) == 0 && (g.key.durable == "" || forgets) {
		g.disband()
		return
	}
	g.dispatch()
}

// leaveAll takes the members of a connection out.
func (g *group) leaveAll(c *conn, err error) {
	for _, s := range slices.Clone(g.members) {
		if s.conn == c {
			s.finish(err)
			g.leave(s)
		}
	}
}

// interrupt takes from the members of a connection what they have, to be sent again,
// and returns them.
func (g *group) interrupt(c *conn) (members []*subscription) {
	for _, s := range g.members {
		if s.conn != c {
			continue
		}
		members = append(members, s)
		s.queue = nil
		for _, p := range g.pending {
			if p.member == s {
				g.back(p)
			}
		}
	}
	return members
}

func (g *group) disband() {
	delete(g.channel.groups, g.key)
	if g.timer != nil {
		g.timer.Stop()
	}
}

// reset begins anew in a channel that was emptied.
func (g *group) reset() {
	g.next = 1
	clear(g.pending)
	g.again = nil
	for _, m := range g.members {
		m.queue = nil
		m.inFlight = 0
	}
}

// back puts a message that was sent among those to be sent again.
func (g *group) back(p *pending) {
	if p.member == nil && !p.delayed {
		return // it is there
	}
	p.release()
	p.delayed = false
	g.again = append(g.again, p.sequence)
	slices.Sort(g.again)
}

// delay lets a message that is given back wait. It takes no room meanwhile.
func (g *group) delay(p *pending, d time.Duration) {
	g.back(p)
	g.again = slices.DeleteFunc(g.again, func(sequence uint64) bool { return sequence == p.sequence })
	p.delayed = true
	p.due = time.Now().Add(d)
	g.arm(p.due)
}

// release takes it from the member who has it.
func (p *pending) release() {
	if p.member != nil {
		p.member.inFlight--
		p.member = nil
	}
}

// dispatch sends what there is to the members that have room.
func (g *group) dispatch() {
	for {
		sequence, again := g.head()
		if sequence == 0 {
			break
		}
		m := g.memberWithRoom()
		if m == nil {
			break
		}
		if again {
			g.again = g.again[1:]
		} else {
			g.next++
		}
		p, known := g.pending[sequence]
		if again && !known {
			p = nil
		}
		if p == nil {
			p = &pending{sequence: sequence}
			g.pending[sequence] = p
		}
		g.send(m, p)
	}
}

// head returns what is to be sent next: first what was sent before. 0: nothing.
func (g *group) head() (sequence uint64, again bool) {
	if len(g.again) > 0 {
		return g.again[0], true
	}
	if g.next <= uint64(len(g.channel.log)) {
		return g.next, false
	}
	return 0, false
}

// memberWithRoom returns the next in turn that may be sent more.
func (g *group) memberWithRoom() *subscription {
	for range g.members {
		g.turn++
		m := g.members[g.turn%len(g.members)]
		if m.asksNoMore {
			continue
		}
		if m.inFlight < m.config.MaxInFlight || g.channel.broker.options.defect == ignoresMaxInFlight {
			return m
		}
	}
	return nil
}

func (g *group) send(m *subscription, p *pending) {
	defect := g.channel.broker.options.defect
	p.member = m
	p.deliveries++
	p.due = time.Now().Add(m.config.AckWait)
	g.arm(p.due)
	m.inFlight++
	message := g.channel.log[p.sequence-1]
	d := transport.Delivery{
		Subject: message.subject, Sequence: p.sequence, Timestamp: message.time,
		Redelivered: p.deliveries > 1, Deliveries: p.deliveries,
		Header: message.header, Data: message.data,
		Settler: &settler{group: g, member: m, sequence: p.sequence},
	}
	if defect == countsNoDeliveries {
		d.Deliveries, d.Redelivered = 1, false
	}
	if defect == acknowledgesEarly {
		g.done(p)
	}
	m.enqueue(d, defect == shufflesReplay && p.sequence%2 == 0)
}

// done forgets a message that was acknowledged.
func (g *group) done(p *pending) {
	delete(g.pending, p.sequence)
	if p.member != nil {
		p.member.inFlight--
		p.member = nil
	} else if i := slices.Index(g.again, p.sequence); i >= 0 {
		g.again = slices.Delete(g.again, i, i+1)
	}
}

// arm makes sure that the timer fires at that time at the latest.
func (g *group) arm(due time.Time) {
	if g.channel.broker.options.defect == neverRedelivers {
		return
	}
	if g.timer != nil {
		if !due.Before(g.fires) {
			return
		}
		g.timer.Stop()
	}
	g.fires = due
	g.timer = time.AfterFunc(time.Until(due), func() {
		g.channel.broker.mu.Lock()
		defer g.channel.broker.mu.Unlock()
		g.expire()
	})
}

// expire sends again what is due, oldest first.
func (g *group) expire() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	now := time.Now()
	var due []*pending
	for _, p := range g.pending {
		switch {
		case p.member == nil && !p.delayed:
		case p.due.After(now):
			g.arm(p.due)
		default:
			due = append(due, p)
		}
	}
	slices.SortFunc(due, func(a, b *pending) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, p := range due {
		g.back(p)
	}
	g.dispatch()
}
