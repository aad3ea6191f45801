package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// simEvent is an event in the server's channel, with what is true of it.
type simEvent struct {
	id      MessageKey
	key     string
	lapses  time.Time // from then on it can't be read, as what is not valid any more; zero: never
	handled bool      // a handler was done with it
	letter  bool      // its dead letter is stored
	acked   bool
	lost    bool // with the store

	kills        bool // it ends the processes that run it
	ended        int  // processes that ended while they ran it
	endedSuspect int  // those of them that had begun to mark it
	unmarked     int  // times that its mark could not be stored, or did not count any more
}

func (e *simEvent) lapsed(now time.Time) bool { return !e.lapses.IsZero() && !now.Before(e.lapses) }

// simServer is one channel and one group, as NATS Streaming or JetStream has them.
type simServer struct {
	sim     *sim
	log     []*simEvent
	next    int // the first that was never sent
	pending map[*simEvent]*simPending
	turn    int
}

type simPending struct {
	member     *simMember // who has it; nil: nobody
	session    int
	arrived    bool
	delayed    bool // negatively acknowledged, to be sent again after a while
	deliveries int
	sent       int // tells the timers of earlier deliveries that they don't count
}

func (v *simServer) publish() {
	e := &simEvent{
		id:  MessageKey{uint64(len(v.log)) + 1, v.sim.now.UnixNano()},
		key: string(rune('a' + v.sim.IntN(4))),
	}
	if v.sim.maybe(10) {
		e.lapses = v.sim.now.Add(max(v.sim.between(-3*v.sim.ackWait, 3*v.sim.ackWait), 0)) // every other never was
	}
	e.kills = v.sim.maybe(8)
	v.log = append(v.log, e)
	v.dispatch()
}

// dispatch sends what nobody has, oldest first, to members that have room.
func (v *simServer) dispatch() {
	for v.next < len(v.log) {
		m := v.memberWithRoom(nil)
		if m == nil {
			return
		}
		v.next++
		v.send(v.log[v.next-1], m)
	}
}

func (v *simServer) inFlight(m *simMember) (n int) {
	for _, p := range v.pending {
		if p.member == m {
			n++
		}
	}
	return n
}

// memberWithRoom returns the next in turn, not before if there is another one.
func (v *simServer) memberWithRoom(before *simMember) *simMember {
	for _, other := range []bool{true, false} {
		for range v.sim.members {
			v.turn++
			m := v.sim.members[v.turn%len(v.sim.members)]
			if !m.left && !(other && m == before) && (before != nil || v.inFlight(m) < v.sim.rules.MaxInFlight) {
				return m
			}
		}
	}
	return nil
}

func (v *simServer) send(e *simEvent, m *simMember) {
	p := v.pending[e]
	if p == nil {
		p = &simPending{}
		v.pending[e] = p
	}
	p.member, p.session, p.arrived, p.delayed = m, m.session, false, false
	p.deliveries++
	v.await(e, p)
	m.carry(e, p.deliveries)
}

// await sends an event again when its ack wait has passed.
func (v *simServer) await(e *simEvent, p *simPending) {
	p.sent++
	sent := p.sent
	v.sim.after(v.sim.ackWait, func() {
		if v.pending[e] == p && p.sent == sent && p.member != nil {
			v.again(e)
		}
	})
}

// again sends an event once more, to another member if there is one.
func (v *simServer) again(e *simEvent) {
	p := v.pending[e]
	if m := v.memberWithRoom(p.member); m != nil {
		v.send(e, m)
		return
	}
	p.member = nil
	p.sent++
	sent := p.sent
	v.sim.after(100*time.Millisecond, func() { v.retry(e, p, sent) })
}

// returns gives what a session had to the members that are there, in order.
func (v *simServer) returns(m *simMember, session int) {
	var had []*simEvent
	for e, p := range v.pending {
		if p.member == m && p.session == session {
			p.member = nil
			p.sent++
			had = append(had, e)
		}
	}
	v.resend(had)
}

// joined gives a member what nobody has, and the rest.
func (v *simServer) joined() {
	var nobodys []*simEvent
	for e, p := range v.pending {
		if p.member == nil && !p.delayed {
			nobodys = append(nobodys, e)
		}
	}
	v.resend(nobodys)
	v.dispatch()
}

func (v *simServer) resend(all []*simEvent) {
	slices.SortFunc(all, func(a, b *simEvent) int { return int(a.id.Sequence) - int(b.id.Sequence) })
	for _, e := range all {
		v.again(e)
	}
}

// settle takes in what a member says of an event.
func (v *simServer) settle(e *simEvent, said string, delay time.Duration) {
	s, p := v.sim, v.pending[e]
	if e.lost || p == nil {
		return
	}
	s.sayf("server: %s %d", said, e.id.Sequence)
	switch said {
	case "ack":
		if !e.handled && !e.letter {
			s.brokenf("event %d was acknowledged, and neither handled nor stored as a dead letter", e.id.Sequence)
		}
		e.acked = true
		delete(v.pending, e)
		v.dispatch()
	case "in progress":
		if p.member != nil {
			v.await(e, p)
		}
	case "nak":
		p.member, p.delayed = nil, true
		p.sent++
		sent := p.sent
		s.after(delay, func() { v.retry(e, p, sent) })
		v.dispatch()
	}
}

// retry sends an event that was negatively acknowledged, once somebody is there.
func (v *simServer) retry(e *simEvent, p *simPending, sent int) {
	if v.pending[e] != p || p.sent != sent {
		return
	}
	if m := v.memberWithRoom(nil); m != nil {
		v.send(e, m)
		return
	}
	v.sim.after(100*time.Millisecond, func() { v.retry(e, p, sent) })
}

// restart forgets how often it delivered.
func (v *simServer) restart() {
	v.sim.sayf("server restarts")
	v.sim.restarts++
	for _, p := range v.pending {
		p.deliveries = 0
	}
	for _, m := range slices.Clone(v.sim.members) {
		m.reconnect()
	}
}

// empty loses the store: sequences begin at 1 again.
func (v *simServer) empty() {
	v.sim.sayf("store lost")
	for _, e := range v.log {
		e.lost = true
	}
	v.log, v.next = nil, 0
	clear(v.pending)
	for _, m := range slices.Clone(v.sim.members) {
		m.reconnect()
	}
}

func (v *simServer) event(id MessageKey) *simEvent {
	for _, e := range v.log {
		if e.id == id {
			return e
		}
	}
	return nil
}

func (v *simServer) checkEnd() {
	v.checkEnded()
	for _, e := range v.log {
		if !e.acked {
			v.sim.brokenf("event %d was never acknowledged: handled %v, letter %v, pending %+v", e.id.Sequence, e.handled, e.letter, v.pending[e])
		}
	}
}

// simSettler is a member's end of a delivery.
type simSettler struct {
	member  *simMember
	session int
	event   *simEvent
	over    bool // settled or released
}

// say brings to the server what a member says, unless it goes into a dead socket.
func (t *simSettler) say(what string, delay time.Duration) error {
	s := t.member.sim
	if t.member.left {
		return transport.ErrSubscriptionClosed
	}
	if !s.calm && s.maybe(2) {
		return nil // lost on its way
	}
	s.soon(func() { s.server.settle(t.event, what, delay) })
	return nil
}

// settle is say for what ends the delivery.
func (t *simSettler) settle(what string, delay time.Duration) error {
	t.over = true
	return t.say(what, delay)
}

func (t *simSettler) Ack() error                { return t.settle("ack", 0) }
func (t *simSettler) Term(string) error         { return t.settle("ack", 0) }
func (t *simSettler) Nak(d time.Duration) error { return t.settle("nak", d) }
func (t *simSettler) InProgress() error         { return t.say("in progress", 0) }
func (t *simSettler) Release()                  { t.over = true }
