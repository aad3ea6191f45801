package consuming

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// simServer is a JetStream server with one stream and one consumer: a state machine
// without a network and without a clock. What it does is what the real server was seen
// to do, and is held to that (TestTheSimulatedServerIsTheRealOne). In brackets is the
// function of nats-server that a rule is from.
type simServer struct {
	now      time.Time
	stream   *simStream // nil: there is none
	stopped  bool       // JetStream is stopped, and the server still has its clients
	made     int        // how many streams were created, or restored from an older copy
	interest func(inbox string) bool
	send     func(inbox string, a simAnswer)
}

type simStream struct {
	number      int // the first is 1
	created     time.Time
	first, last uint64
	before      uint64       // the last sequence before it was restored from an older copy
	skipped     uint64       // below that, messages were skipped by what no member can prevent
	origins     []int        // by sequence, from 1 on: what tells messages apart that have the same
	consumer    *simConsumer // nil: there is none
}

func (s *simStream) origin(sequence uint64) int {
	if sequence < 1 || sequence > s.last {
		return 0
	}
	return s.origins[sequence-1]
}

// simConsumer is a pull consumer.
type simConsumer struct {
	created    time.Time
	ackWait    time.Duration
	maxBatch   int // of a request; 0: any
	maxPending int // 0: any

	next      uint64 // stream sequence of what is delivered next for the first time
	delivered uint64 // consumer sequence of the last delivery
	floor     uint64 // consumer sequence below which all is acknowledged
	pending   map[uint64]*simPending
	counts    map[uint64]int // how often each message was delivered
	redeliver []uint64
	waiting   []*simRequest
}

type simPending struct {
	due   time.Time // zero: it waits to be delivered again
	first uint64    // consumer sequence of the first delivery
}

type simRequest struct {
	inbox   string
	lacking int
	expires time.Time // zero: never
	beat    time.Duration
	beatAt  time.Time // zero: never
	noWait  bool
}

// simAnswer is what the server sends to an inbox: a message or a status.
type simAnswer struct {
	msg                 Message
	count               int // how often the message was delivered
	origin              int // of the message, which the reply does not tell
	status, description string
	lacking             int
}

func (a simAnswer) String() string {
	switch {
	case a.status == "":
		return fmt.Sprintf("message %d, delivery %d of the consumer, %d of it", a.msg.Sequence, a.msg.ConsumerSequence, a.count)
	case a.lacking == Unknown:
		return strings.TrimSpace(a.status + " " + a.description)
	default:
		return fmt.Sprintf("%s %s, %d lacking", a.status, a.description, a.lacking)
	}
}

func (s *simServer) createStream() {
	s.made++
	s.stream = &simStream{number: s.made, created: s.now, first: 1}
}

func (s *simServer) deleteStream() {
	s.deleteConsumer()
	s.stream = nil
}

func (s *simServer) consumer() *simConsumer {
	if s.stream == nil || s.stopped {
		return nil
	}
	return s.stream.consumer
}

// createConsumer creates the consumer, to begin at that sequence [selectStartingSeqNo].
func (s *simServer) createConsumer(from uint64, ackWait time.Duration, maxPending int) {
	s.stream.consumer = &simConsumer{
		created: s.now, ackWait: ackWait, maxPending: maxPending, next: max(from, s.stream.first),
		pending: make(map[uint64]*simPending), counts: make(map[uint64]int),
	}
}

// deleteConsumer tells those who wait [releaseAnyPendingRequests].
func (s *simServer) deleteConsumer() {
	c := s.consumer()
	if c == nil {
		return
	}
	s.stream.consumer = nil
	for _, r := range c.waiting {
		s.answer(r.inbox, "409", "Consumer Deleted", Unknown)
	}
}

// changeLeader ends all requests [checkPendingRequests].
func (s *simServer) changeLeader() {
	if c := s.consumer(); c != nil {
		for _, r := range c.waiting {
			s.answer(r.inbox, "409", "Leadership Change", Unknown)
		}
		c.waiting = nil
	}
}

// stop stops JetStream, which is how an orderly shutdown begins. The server ends all requests
// [stopWithFlags], and nobody listens to what comes until it closes its clients.
func (s *simServer) stop() {
	if c := s.consumer(); c != nil {
		for _, r := range c.waiting {
			s.answer(r.inbox, "409", "Server Shutdown", Unknown)
		}
		c.waiting = nil
	}
	s.stopped = true
}

// restart forgets requests, and what is to be delivered again before its ack wait.
func (s *simServer) restart() {
	s.stopped = false
	if c := s.consumer(); c != nil {
		c.waiting = nil
		for _, sequence := range c.redeliver {
			c.pending[sequence].due = s.now.Add(c.ackWait)
		}
		c.redeliver = nil
	}
}

func (s *simServer) publish() {
	s.stream.last++
	s.stream.origins = append(s.stream.origins, s.made)
	s.deliver()
}

// purge removes what is below that sequence [purge].
func (s *simServer) purge(below uint64) {
	s.stream.first = max(s.stream.first, below)
	c := s.consumer()
	if c == nil {
		return
	}
	c.next = max(c.next, below)
	for sequence := range c.pending {
		if sequence < below {
			s.settled(c, sequence)
		}
	}
	s.deliver()
}

// lose removes what is above that sequence, and the consumer: the server was set up
// again from an older copy.
func (s *simServer) lose(above uint64) {
	s.deleteConsumer()
	s.stream.before = max(s.stream.before, s.stream.last)
	s.stream.last = min(s.stream.last, above)
	s.stream.first = min(s.stream.first, s.stream.last+1)
	s.stream.origins = s.stream.origins[:s.stream.last]
	s.made++
}

func (s *simServer) answer(inbox, status, description string, lacking int) {
	s.send(inbox, simAnswer{status: status, description: description, lacking: lacking})
}

// pull takes a request in [processNextMsgRequest].
func (s *simServer) pull(r *simRequest) {
	c := s.consumer()
	switch {
	case c == nil: // nobody listens to the request's subject
		s.answer(r.inbox, "503", "", Unknown)
		return
	case c.maxBatch > 0 && r.lacking > c.maxBatch:
		s.answer(r.inbox, "409", "Exceeded MaxRequestBatch of "+strconv.Itoa(c.maxBatch), Unknown)
		return
	}
	if r.beat > 0 {
		r.beatAt = s.now.Add(r.beat)
	}
	c.waiting = append(c.waiting, r)
	s.deliver()
}

// deliver delivers what there is to those who wait, in turn [nextWaiting].
func (s *simServer) deliver() {
	c := s.consumer()
	for c != nil && len(c.waiting) > 0 {
		r := c.waiting[0]
		if !s.interest(r.inbox) {
			c.waiting = c.waiting[1:]
			continue
		}
		sequence := s.nextMessage(c)
		if sequence == 0 {
			c.waiting = slices.DeleteFunc(c.waiting, func(r *simRequest) bool {
				if r.noWait {
					s.answer(r.inbox, "404", "No Messages", Unknown)
				}
				return r.noWait
			})
			return
		}
		c.waiting = c.waiting[1:]
		r.lacking--
		if r.lacking > 0 {
			c.waiting = append(c.waiting, r)
		}
		if r.beat > 0 {
			r.beatAt = s.now.Add(r.beat)
		}
		c.delivered++
		c.counts[sequence]++
		if p := c.pending[sequence]; p != nil {
			p.due = s.now.Add(c.ackWait)
		} else {
			c.pending[sequence] = &simPending{due: s.now.Add(c.ackWait), first: c.delivered}
		}
		reply := fmt.Sprintf("%d.%d", sequence, c.delivered)
		origin := s.stream.origin(sequence)
		s.send(r.inbox, simAnswer{
			msg:   Message{Sequence: sequence, ConsumerSequence: c.delivered, Stored: storedOf(origin), Reply: reply, Again: c.counts[sequence] > 1},
			count: c.counts[sequence], origin: origin,
		})
	}
}

// nextMessage takes what is to be delivered next; 0: nothing [getNextMsg].
func (s *simServer) nextMessage(c *simConsumer) uint64 {
	if len(c.redeliver) > 0 {
		sequence := c.redeliver[0]
		c.redeliver = c.redeliver[1:]
		return sequence
	}
	if c.maxPending > 0 && len(c.pending) >= c.maxPending || c.next > s.stream.last {
		return 0
	}
	c.next++
	return c.next - 1
}

// settle takes in what a member answers: "+ACK", "+TERM", "+WPI" or "-NAK" with its delay. Of the
// reply the server uses the sequences alone: it does not see of which stream they are.
func (s *simServer) settle(reply, answer string, delay time.Duration) {
	c := s.consumer()
	if c == nil {
		return
	}
	var sequence, delivery uint64
	_, _ = fmt.Sscanf(reply, "%d.%d", &sequence, &delivery)
	p := c.pending[sequence]
	switch {
	case p == nil:
	case answer == "+WPI": // [progressUpdate]
		if !p.due.IsZero() {
			p.due = s.now.Add(c.ackWait)
		}
	case answer == "-NAK": // [processNak]
		switch {
		case delivery <= c.floor || delivery > c.delivered:
		case delay > 0:
			c.redeliver = slices.DeleteFunc(c.redeliver, func(n uint64) bool { return n == sequence })
			p.due = s.now.Add(delay)
		case !p.due.IsZero():
			p.due = time.Time{}
			c.redeliver = append(c.redeliver, sequence)
		}
	default:
		s.settled(c, sequence)
	}
	s.deliver()
}

// settled removes a message from those that are pending [processAckMsg].
func (s *simServer) settled(c *simConsumer, sequence uint64) {
	delete(c.pending, sequence)
	delete(c.counts, sequence)
	c.redeliver = slices.DeleteFunc(c.redeliver, func(n uint64) bool { return n == sequence })
	c.floor = c.delivered
	for _, p := range c.pending {
		c.floor = min(c.floor, p.first-1)
	}
}

// info is what the server says of the consumer.
func (s *simServer) info() Info {
	c := s.consumer()
	floor := c.next - 1
	for sequence := range c.pending {
		floor = min(floor, sequence-1)
	}
	return Info{
		Created: c.created, AckWait: c.ackWait, MaxBatch: c.maxBatch, AckFloor: floor, Delivered: c.next - 1, Deliveries: c.delivered,
		Pending: less(s.stream.last+1, c.next), Stream: Bounds{true, s.stream.first, s.stream.last},
	}
}

// storedAt returns when a message was stored; zero: there is no such message.
func (s *simServer) storedAt(sequence uint64) time.Time {
	if sequence < s.stream.first || sequence > s.stream.last {
		return time.Time{}
	}
	return storedOf(s.stream.origin(sequence))
}

// storedOf: all messages of one copy of the stream have one time.
func storedOf(origin int) time.Time { return simBegin.Add(time.Duration(origin)) }

// due is when something happens by itself; zero: never.
func (s *simServer) due() time.Time {
	var due time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if c := s.consumer(); c != nil {
		for _, r := range c.waiting {
			at(r.expires)
			at(r.beatAt)
		}
		for _, p := range c.pending {
			at(p.due)
		}
	}
	return due
}

// tick does what is due [processWaiting, checkPending].
func (s *simServer) tick() {
	c := s.consumer()
	if c == nil {
		return
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(r *simRequest) bool {
		switch {
		case !r.expires.IsZero() && !s.now.Before(r.expires):
			s.answer(r.inbox, "408", "Request Timeout", r.lacking)
			return true
		case !s.interest(r.inbox):
			return true
		case !r.beatAt.IsZero() && !s.now.Before(r.beatAt):
			r.beatAt = s.now.Add(r.beat)
			s.answer(r.inbox, "100", "Idle Heartbeat", Unknown)
		}
		return false
	})
	for _, sequence := range slices.Sorted(maps.Keys(c.pending)) {
		if p := c.pending[sequence]; !p.due.IsZero() && !s.now.Before(p.due) {
			p.due = time.Time{}
			c.redeliver = append(c.redeliver, sequence)
		}
	}
	s.deliver()
}
