package consuming

import (
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// lookEvery is how often the consumer and its stream are looked at while nothing moves.
const lookEvery = 30 * time.Second

// maxAgain bounds what is remembered between two looks. Beyond it, fewer messages may be told
// as removed than were.
const maxAgain = 4096

// passed is how far the consumer has come in the stream, as far as is known here. The server
// says nothing of messages that it removes before the consumer delivers them. But the first
// sequence of the stream passes the place of the consumer then, and the consumer passes them
// without delivering them. Messages of other subjects
// have sequences, too, so that it is known only how many were removed at most.
type passed struct {
	known      bool     // where a new consumer begins is known with its first delivery: what was removed before was promised to nobody
	sequence   uint64   // the consumer has passed all up to here
	last       uint64   // of the stream, at the last look
	deliveries uint64   // the consumer sequence of its last delivery at that time
	again      []uint64 // consumer sequences of the deliveries since then, of those that came here, of messages that had come before

	top    uint64    // the highest stream sequence that was delivered here
	stored time.Time // when that message was stored
	newest time.Time // the latest time at which one that was delivered here was stored

	limit  uint64            // how many messages of the subject the stream keeps; 0: no limit
	within transport.Removed // what that limit has removed since the last look, within the stream
}

// begin takes in where a consumer stands that was found or made.
func (p *passed) begin(info Info) {
	p.known = p.known || info.Deliveries > 0
	p.sequence, p.deliveries, p.again = max(p.sequence, p.top, info.Delivered), info.Deliveries, p.again[:0]
}

// delivered takes in a message, and reports whether sequences before it were passed over.
func (p *passed) delivered(msg Message) (jumped bool) {
	jumped = p.known && !msg.Again && msg.Sequence > max(p.sequence, p.top)+1
	if !p.known && msg.ConsumerSequence == 1 {
		p.known, p.sequence, p.deliveries = true, msg.Sequence, 1
	}
	if (msg.Again || msg.Sequence <= p.top) && msg.ConsumerSequence > p.deliveries && len(p.again) < maxAgain {
		p.again = append(p.again, msg.ConsumerSequence)
	}
	if at := max(p.sequence, p.top); p.limit > 1 && msg.Pending+1 >= p.limit && msg.Sequence > at+1 && msg.ConsumerSequence > 1 {
		// The stream has as many messages of the subject as it keeps, and this is the oldest. With
		// a limit of 1 that would be so for each message.
		p.within = transport.Removed{First: p.within.First, Last: msg.Sequence - 1, Count: p.within.Count + msg.Sequence - 1 - at, AtMost: true}
		if p.within.First == 0 {
			p.within.First = at + 1
		}
	}
	if msg.Sequence > p.top {
		p.top, p.stored = msg.Sequence, msg.Stored
	}
	if msg.Stored.After(p.newest) {
		p.newest = msg.Stored
	}
	return jumped
}

// shows reports whether a message shows that the stream is not what it was: its sequence
// came before, and it was stored later than all that came.
func (p *passed) shows(msg Message) bool { return msg.Sequence <= p.top && msg.Stored.After(p.newest) }

// look takes in what the server says of the consumer, and after that of its stream. It returns
// what was removed before the consumer had it: what it has passed without delivering it, and
// what is below the first sequence now. What was removed ahead of it, it passes later.
func (p *passed) look(info Info) (lost transport.Removed) {
	if !info.Stream.Known || info.Deliveries < p.deliveries { // in the second case the answer is older than what came since
		return lost
	}
	known := p.known
	p.known = known || info.Deliveries > 0
	if first := info.Stream.First; known && first > p.sequence+1 {
		fresh := info.Deliveries - p.deliveries // how many were delivered for the first time since
		for _, n := range p.again {
			if n <= info.Deliveries {
				fresh = less(fresh, 1)
			}
		}
		lost.Count = min(less(less(info.Delivered, p.sequence), fresh), first-1-p.sequence)
		if lost.Count > 0 {
			lost.First, lost.Last, lost.AtMost = p.sequence+1, min(first-1, info.Delivered), true
		}
	}
	if lost.Count == 0 && info.Stream.First > 0 {
		lost = p.within
	}
	p.within = transport.Removed{}
	p.sequence = max(p.sequence, info.Delivered)
	if info.Pending == 0 { // the consumer has passed all that there was at the last look; the server counts late
		p.sequence = max(p.sequence, p.last)
	}
	p.last = info.Stream.Last
	p.deliveries = info.Deliveries
	p.again = slices.DeleteFunc(p.again, func(n uint64) bool { return n <= p.deliveries })
	return lost
}

// less returns a - b, or 0 if that is less.
func less(a, b uint64) uint64 { return a - min(a, b) }

// Look asks for the consumer's state and its stream's: what was removed while nobody listened
// shows in it.
func (m *Machine) Look() {
	if m.running() {
		m.ask(false)
	}
}

// lookSoon asks for it since sequences were passed over, if that did not happen just now.
func (m *Machine) lookSoon(now time.Time) {
	if now.Sub(m.jumpedAt) < Heartbeat {
		return
	}
	m.jumpedAt = now
	if m.lookAgain = m.asking != 0; !m.lookAgain { // else the answer may be older than the message
		m.ask(false)
	}
}

// lookAt takes in the state of the consumer and its stream.
func (m *Machine) lookAt(now time.Time, info Info) {
	m.lookedAt = now
	if info.Stream.Known && info.Stream.Last < m.asked.passed {
		m.wentBack(now, fmt.Sprintf("its last message is %d, and was %d or higher", info.Stream.Last, m.asked.passed))
		return
	}
	lost := m.passed.look(info)
	for sequence, u := range m.unacked {
		if !u.awaiting || sequence >= info.Stream.First {
			continue
		}
		delete(m.unacked, sequence) // it does not come again
		m.awaiting--
		if lost.Count == 0 || sequence < lost.First {
			lost.First = sequence
		}
		lost.Last = max(lost.Last, sequence)
		lost.Count++
	}
	if lost.Count == 0 {
		return
	}
	lost.Subject, lost.Group, lost.Durable = m.config.Subject, m.config.Group, m.config.Durable
	m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.MessagesRemoved, Removed: lost, Err: fmt.Errorf(
		"%v, were removed from the stream before they were handled, by its limits or by a purge (the stream's other subjects are counted, too): "+
			"raise its limits (max_age, max_msgs, max_bytes, max_msgs_per_subject), or make the listener faster", lost)}})
}

// wentBack: the stream is not what it was, although it has its name. It was restored from a
// backup, or made anew; which of both shows when it is found.
func (m *Machine) wentBack(now time.Time, how string) {
	m.forget()
	m.restored = true
	m.heal(now, "the stream is not what it was: "+how)
}

// tellRestored tells that the stream was restored from a backup: it is the same one, and has
// less, or other messages, than it had.
func (m *Machine) tellRestored() {
	m.restored, m.other = false, true
	m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
		"the stream went back, as when it is restored from a backup, and what it held since is lost: consumer %s goes on with what the stream holds now", m.config.Consumer)}})
}
