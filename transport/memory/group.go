package memory

import (
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// groupKey identifies a group within its channel. A subscription with neither a durable
// nor a group has a key of its own.
type groupKey struct {
	durable, group string
	clientID       string        // set for a durable without a group
	alone          *subscription // set for a subscription with neither
}

func keyOf(c *conn, s transport.SubscribeConfig) groupKey {
	k := groupKey{durable: s.Durable, group: s.Group}
	if s.Group == "" {
		k.clientID = c.clientID
	}
	return k
}

// group is a queue group, a durable or a single subscription: how far it has come in its
// channel, and its members. The broker's lock guards it.
type group struct {
	channel *channel
	key     groupKey
	next    uint64                     // the first sequence that was never sent
	unacked map[uint64]*unackedMessage // by sequence
	resend  []uint64                   // sequences in unacked that are to be sent again now, ascending
	members []*subscription
	turn    int         // counts the members that were asked for room; picks the next one
	timer   *time.Timer // fires when the earliest of unacked is due, or before
	fires   time.Time   // when the timer fires
}

// addMember adds a member to its group, and creates the group with its first member.
func (ch *channel) addMember(s *subscription) error {
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
		g = &group{channel: ch, key: key, next: ch.first(start), unacked: make(map[uint64]*unackedMessage)}
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

// removeMember removes a member. What it had not acknowledged goes to the others at once.
func (g *group) removeMember(s *subscription) {
	i := slices.Index(g.members, s)
	if i < 0 {
		return
	}
	g.members = slices.Delete(g.members, i, i+1)
	for _, u := range g.unacked {
		if u.member == s {
			g.requeue(u)
		}
	}
	forgets := g.channel.broker.options.defect == forgetsDurable
	if len(g.members) == 0 && (g.key.durable == "" || forgets) {
		g.remove()
		return
	}
	g.dispatch()
}

// removeMembersOf ends the subscriptions of a connection and removes them from the group.
func (g *group) removeMembersOf(c *conn, err error) {
	for _, s := range slices.Clone(g.members) {
		if s.conn == c {
			s.finish(err)
			g.removeMember(s)
		}
	}
}

// interrupt queues everything that the members of a connection had not acknowledged to be
// sent again, and returns those members.
func (g *group) interrupt(c *conn) (members []*subscription) {
	for _, s := range g.members {
		if s.conn != c {
			continue
		}
		members = append(members, s)
		s.queue = nil
		for _, u := range g.unacked {
			if u.member == s {
				g.requeue(u)
			}
		}
	}
	return members
}

// remove removes the group from its channel.
func (g *group) remove() {
	delete(g.channel.groups, g.key)
	if g.timer != nil {
		g.timer.Stop()
	}
}

// reset starts the group again in a channel that was emptied.
func (g *group) reset() {
	g.next = 1
	clear(g.unacked)
	g.resend = nil
	for _, m := range g.members {
		m.queue = nil
		m.inFlight = 0
	}
}

// dispatch sends messages to the members as long as there are messages, and members with
// room.
func (g *group) dispatch() {
	for {
		sequence, again := g.nextToSend()
		if sequence == 0 {
			return
		}
		if again && g.givesUp(sequence) {
			continue
		}
		member := g.memberWithRoom()
		if member == nil {
			return
		}
		if again {
			g.resend = g.resend[1:]
		} else {
			g.next++
		}
		u := g.unacked[sequence]
		if u == nil {
			u = &unackedMessage{sequence: sequence}
			g.unacked[sequence] = u
		}
		g.send(member, u)
	}
}

// nextToSend returns the sequence of the next message to send, 0 if there is none. Messages
// that were sent before come first; again reports that this is one.
func (g *group) nextToSend() (sequence uint64, again bool) {
	if len(g.resend) > 0 {
		return g.resend[0], true
	}
	if g.next <= uint64(len(g.channel.log)) {
		return g.next, false
	}
	return 0, false
}

// memberWithRoom returns the next member, in turn, that takes another message; nil if none
// does.
func (g *group) memberWithRoom() *subscription {
	for range g.members {
		g.turn++
		m := g.members[g.turn%len(g.members)]
		if m.requestsNoMore {
			continue
		}
		if m.inFlight < m.config.MaxInFlight || g.channel.broker.options.defect == ignoresMaxInFlight {
			return m
		}
	}
	return nil
}

// send sends a message to a member.
func (g *group) send(m *subscription, u *unackedMessage) {
	defect := g.channel.broker.options.defect
	u.member, u.takesRoom = m, true
	u.deliveries++
	u.due = time.Now().Add(m.config.AckWait)
	g.startTimer(u.due)
	m.inFlight++
	message := g.channel.log[u.sequence-1]
	d := transport.Delivery{
		Subject: message.subject, Sequence: u.sequence, Timestamp: message.time,
		Redelivered: u.deliveries > 1, Deliveries: u.deliveries,
		Header: message.header, Data: message.data, Last: g.channel.broker.options.isLast(u.deliveries),
		Settler: &settler{group: g, member: m, sequence: u.sequence, deliveries: u.deliveries},
	}
	if defect == countsNoDeliveries {
		d.Deliveries, d.Redelivered = 1, false
	}
	if defect == acknowledgesEarly {
		g.acknowledge(u)
	}
	m.enqueue(d, defect == shufflesReplay && u.sequence%2 == 0)
}

// acknowledge forgets a message that needs not be sent again.
func (g *group) acknowledge(u *unackedMessage) {
	delete(g.unacked, u.sequence)
	u.takeFromMember()
	if i := slices.Index(g.resend, u.sequence); i >= 0 {
		g.resend = slices.Delete(g.resend, i, i+1)
	}
}

// startTimer makes the timer fire at that time at the latest.
func (g *group) startTimer(due time.Time) {
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

// expire sends the messages again that are due, oldest first.
func (g *group) expire() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	now := time.Now()
	for _, u := range g.unacked {
		switch {
		case u.queued():
		case u.due.After(now):
			g.startTimer(u.due)
		default:
			g.requeue(u)
		}
	}
	g.dispatch()
}
