package stan

import (
	"errors"
	"maps"
	"slices"

	"github.com/sgtickets/common/transport"
)

// simServer is a streaming server with one channel: a state supervisor without a
// network, a clock or a disk. What it does is what the real one was seen to do, and
// is held to that (TestTheSimulatedServerIsTheRealOne). In brackets is the function
// of nats-streaming-server that a rule is from.
type simServer struct {
	clients map[string]string // connection ID by client ID
	log     []simEvent        // the store; the sequence is the index + 1
	subs    []*simSub         // in the order in which they were made, those of no living member included
	groups  map[string]*simGroup

	clock  int64 // of the timestamps; goes on where all else is lost
	number int   // of the last subscription
	starts int   // how often it was started
	send   func(*simSub, simDelivery)
}

type simEvent struct {
	data   string
	stored int64
}

// simDelivery is what the server sends.
type simDelivery struct {
	simEvent

	sequence    uint64
	redelivered int // how often it was sent again
}

// simSub is a subscription, or what is left of a durable one.
type simSub struct {
	number   int
	client   string // client ID; empty: nobody has joined the durable
	inbox    string
	durable  string // with the client ID; empty: of a group, or not durable
	group    *simGroup
	window   int
	lastSent uint64   // where it has no group
	pending  []uint64 // not acknowledged, in the order in which they were sent
	stalled  bool     // had its window full
	begun    bool     // the request was answered, and what was pending is sent
	counts   map[uint64]int
}

// simGroup is a durable queue group.
type simGroup struct {
	members  []*simSub // whose turn it is comes first
	shadow   *simSub   // what the last member left
	lastSent uint64
	counts   map[uint64]int
}

// simJoin is a request to subscribe.
type simJoin struct {
	client, inbox  string
	durable, group string
	window         int
	start          transport.Position
}

var (
	errSimUnknownClient = errors.New(errUnknownClientID)
	errSimDuplicate     = errors.New(errDuplicateDurable)
	errSimTaken         = errors.New(errClientIDRegistered)
	errSimInvalid       = errors.New("stan: invalid publish request")
	errSimUnknownSub    = errors.New(errUnknownSubscription)
)

func newSimServer(send func(*simSub, simDelivery)) *simServer {
	s := &simServer{send: send}
	s.empty()
	return s
}

// empty is a restart without the store.
func (s *simServer) empty() {
	s.starts++
	s.clients, s.groups = make(map[string]string), make(map[string]*simGroup)
	s.log, s.subs = nil, nil
}

// copy returns a backup of the store.
func (s *simServer) copy() *simServer {
	c := &simServer{clients: maps.Clone(s.clients), log: slices.Clone(s.log), groups: make(map[string]*simGroup)}
	copies := make(map[*simSub]*simSub)
	copyOf := func(sub *simSub) *simSub {
		if sub == nil {
			return nil
		}
		if copies[sub] == nil {
			another := *sub
			another.pending, another.counts = slices.Clone(sub.pending), maps.Clone(sub.counts)
			copies[sub] = &another
		}
		return copies[sub]
	}
	for _, sub := range s.subs {
		c.subs = append(c.subs, copyOf(sub))
	}
	for name, g := range s.groups {
		another := &simGroup{shadow: copyOf(g.shadow), lastSent: g.lastSent, counts: maps.Clone(g.counts)}
		for _, member := range g.members {
			another.members = append(another.members, copyOf(member))
		}
		c.groups[name] = another
	}
	for _, sub := range c.subs {
		for name, g := range s.groups {
			if sub.group == g {
				sub.group = c.groups[name]
			}
		}
	}
	return c
}

// restore is a restart with a backup of the store. An acknowledgement that is on its way to a
// subscription of the backup is lost: the simulation does not play that it counts for an
// event that has taken the sequence of another.
func (s *simServer) restore(backup *simServer) {
	c := backup.copy()
	s.clients, s.log, s.subs, s.groups = c.clients, c.log, c.subs, c.groups
	s.restart()
}

// restart is one with the store. Delivery counts are not in it.
func (s *simServer) restart() {
	s.starts++
	for _, sub := range s.subs {
		clear(sub.counts)
		sub.stalled, sub.begun = len(sub.pending) >= sub.window, true
	}
	for _, g := range s.groups {
		clear(g.counts)
	}
	s.sendAll()
}

// knows answers a ping.
func (s *simServer) knows(connection string) bool {
	for _, c := range s.clients {
		if c == connection {
			return true
		}
	}
	return false
}

// register makes that connection the client's. The one that was it before is replaced: that it
// does not answer was found out before.
func (s *simServer) register(client, connection string) {
	if _, ok := s.clients[client]; ok {
		_ = s.closeClient(client)
	}
	s.clients[client] = connection
}

// closeClient carries out a close request, which names the client ID alone.
func (s *simServer) closeClient(client string) error {
	if _, ok := s.clients[client]; !ok {
		return errSimUnknownClient
	}
	delete(s.clients, client)
	for _, sub := range slices.Clone(s.subs) {
		if sub.client == client {
			s.remove(sub)
		}
	}
	return nil
}

// publish stores (processClientPublish).
func (s *simServer) publish(client, connection, data string) error {
	if s.clients[client] != connection {
		return errSimInvalid
	}
	s.clock++
	s.log = append(s.log, simEvent{data, s.clock})
	s.sendAll()
	return nil
}

// sendAll sends what is new to the members that have room.
func (s *simServer) sendAll() {
	for _, sub := range s.subs {
		if sub.group == nil && sub.client != "" {
			s.sendAvailable(sub)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		s.sendToGroup(s.groups[name])
	}
}

// join subscribes (processSub). Sending begins with begin.
func (s *simServer) join(j simJoin) (*simSub, error) {
	if _, ok := s.clients[j.client]; !ok {
		return nil, errSimUnknownClient
	}
	var sub *simSub
	var g *simGroup
	durable := ""
	switch {
	case j.group != "":
		if g = s.groups[j.group]; g == nil {
			g = &simGroup{counts: make(map[uint64]int), lastSent: s.startOf(j.start)}
			s.groups[j.group] = g
		}
		if sub = g.shadow; sub != nil {
			g.shadow = nil
			g.members = append(g.members, sub)
		}
	case j.durable != "":
		durable = j.client + "-" + j.durable
		if i := slices.IndexFunc(s.subs, func(o *simSub) bool { return o.durable == durable }); i >= 0 {
			if sub = s.subs[i]; sub.client != "" {
				return nil, errSimDuplicate
			}
		}
	}
	if sub == nil {
		s.number++
		sub = &simSub{number: s.number, durable: durable, group: g, lastSent: s.startOf(j.start), counts: make(map[uint64]int)}
		s.subs = append(s.subs, sub)
		if g != nil {
			g.members = append(g.members, sub)
		}
	}
	sub.client, sub.inbox, sub.window, sub.stalled, sub.begun = j.client, j.inbox, j.window, false, false
	return sub, nil
}

// startOf returns the sequence before the position (setSubStartSequence). One after
// the last is as good as new events alone.
func (s *simServer) startOf(p transport.Position) uint64 {
	last := uint64(len(s.log))
	switch p.Kind() {
	case transport.StartSequence:
		return min(p.Sequence()-1, last)
	case transport.StartLastReceived:
		return max(last, 1) - 1
	default:
		return 0
	}
}

// begin sends what the subscription is due (processSubscriptionsStart): first what
// its durable has not had acknowledged.
func (s *simServer) begin(sub *simSub) {
	if sub.client == "" || !slices.Contains(s.subs, sub) {
		return // it has left meanwhile
	}
	for _, seq := range slices.Sorted(slices.Values(sub.pending)) {
		s.sendAgain(sub, seq)
	}
	sub.begun = true
	if sub.group != nil {
		s.sendToGroup(sub.group)
	} else {
		s.sendAvailable(sub)
	}
}

func (s *simServer) event(seq uint64) simDelivery {
	return simDelivery{simEvent: s.log[seq-1], sequence: seq}
}

// sub returns the subscription with that inbox, nil if there is none.
func (s *simServer) sub(inbox string) *simSub {
	for _, sub := range s.subs {
		if sub.inbox == inbox {
			return sub
		}
	}
	return nil
}

func (s *simServer) sendAvailable(sub *simSub) {
	for sub.begun && !sub.stalled && sub.lastSent < uint64(len(s.log)) {
		sub.lastSent++
		s.sendFirst(sub, sub.lastSent)
	}
}

func (s *simServer) sendToGroup(g *simGroup) {
	for g.lastSent < uint64(len(s.log)) && slices.ContainsFunc(g.members, func(m *simSub) bool { return !m.stalled }) {
		to := g.turn()
		if !to.begun {
			return
		}
		g.lastSent++
		s.sendFirst(to, g.lastSent)
	}
}

func (s *simServer) sendFirst(sub *simSub, seq uint64) {
	sub.pending = append(sub.pending, seq)
	sub.stalled = len(sub.pending) >= sub.window
	s.send(sub, s.event(seq))
}

// turn returns the member that is to have the next event: the one with the fewest
// of those whose window is not full (findBestQueueSub).
func (g *simGroup) turn() *simSub {
	var best *simSub
	for _, m := range g.members {
		if !m.stalled && (best == nil || len(m.pending) < len(best.pending)) {
			best = m
		}
	}
	if best == nil {
		best = g.members[0]
	}
	if best == g.members[0] {
		g.members = append(g.members[1:], best)
	}
	return best
}

// sendAgain sends what is pending to whom it is pending with, whatever its window.
func (s *simServer) sendAgain(sub *simSub, seq uint64) {
	counts := sub.counts
	if sub.group != nil {
		counts = sub.group.counts
	}
	counts[seq]++
	d := s.event(seq)
	d.redelivered = counts[seq]
	s.send(sub, d)
}

// expire: the ack wait of all that is pending has passed
// (performAckExpirationRedelivery).
func (s *simServer) expire(sub *simSub) {
	for _, seq := range slices.Clone(sub.pending) {
		s.overdue(sub, seq)
	}
}

// expireAll lets it pass for all subscriptions.
func (s *simServer) expireAll() {
	pending := make(map[*simSub][]uint64)
	subs := slices.Clone(s.subs)
	for _, sub := range subs {
		pending[sub] = slices.Clone(sub.pending) // and not what comes to it from another
	}
	for _, sub := range subs {
		for _, seq := range pending[sub] {
			if sub.client != "" {
				s.overdue(sub, seq)
			}
		}
	}
}

// overdue: the ack wait of an event has passed. In a group the member whose turn it
// is has it from then on.
func (s *simServer) overdue(sub *simSub, seq uint64) {
	if !slices.Contains(sub.pending, seq) {
		return
	}
	to := sub
	if sub.group != nil {
		to = sub.group.turn()
	}
	if to != sub {
		to.pending = append(to.pending, seq)
		s.settle(sub, seq)
	}
	s.sendAgain(to, seq)
	s.unstall(sub)
}

// settle takes an event out of what is pending, and reports whether it was.
func (*simServer) settle(sub *simSub, seq uint64) bool {
	i := slices.Index(sub.pending, seq)
	if i >= 0 {
		sub.pending = slices.Delete(sub.pending, i, i+1)
	}
	return i >= 0
}

// ack: what another member of the group has by now is acknowledged as well (processAck).
func (s *simServer) ack(sub *simSub, seq uint64) {
	if sub.client == "" || !slices.Contains(s.subs, sub) {
		return // its inbox for acknowledgements is gone
	}
	switch {
	case s.settle(sub, seq):
		delete(sub.counts, seq)
		if sub.group != nil {
			delete(sub.group.counts, seq)
		}
	case sub.group != nil:
		for _, other := range sub.group.members {
			if s.settle(other, seq) {
				delete(sub.group.counts, seq)
				break
			}
		}
	}
	s.unstall(sub)
}

// unstall sends on where the window was full and is not any more. (Another member
// whose event was acknowledged through this one stays stalled: so does the real one.)
func (s *simServer) unstall(sub *simSub) {
	if !sub.stalled || len(sub.pending) >= sub.window {
		return
	}
	sub.stalled = false
	if sub.group != nil {
		s.sendToGroup(sub.group)
	} else {
		s.sendAvailable(sub)
	}
}

// closeSub carries out a request to close a subscription, by its inbox.
func (s *simServer) closeSub(inbox string) error {
	i := slices.IndexFunc(s.subs, func(o *simSub) bool { return o.client != "" && o.inbox == inbox })
	if i < 0 {
		return errSimUnknownSub
	}
	s.remove(s.subs[i])
	return nil
}

// remove takes a subscription out (subStore.Remove). Of a durable it remains what it
// has and has not had; what a member of a group had goes to the others at once.
func (s *simServer) remove(sub *simSub) {
	sub.client, sub.inbox = "", ""
	if g := sub.group; g != nil {
		g.members = slices.DeleteFunc(slices.Clone(g.members), func(m *simSub) bool { return m == sub })
		if len(g.members) == 0 {
			g.shadow = sub
			return
		}
		s.subs = slices.DeleteFunc(s.subs, func(o *simSub) bool { return o == sub })
		heirs := slices.Clone(g.members)
		for i, seq := range sub.pending {
			heirs[i%len(heirs)].pending = append(heirs[i%len(heirs)].pending, seq)
		}
		for i, seq := range sub.pending { // their ack wait counts as passed
			s.overdue(heirs[i%len(heirs)], seq)
		}
		return
	}
	if sub.durable == "" {
		s.subs = slices.DeleteFunc(s.subs, func(o *simSub) bool { return o == sub })
	}
}
