package memory

import (
	"cmp"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// storedMessage is a message in its channel.
type storedMessage struct {
	subject  string
	sequence uint64 // in this channel
	order    uint64 // in which the broker stored it, among all channels
	time     time.Time
	header   transport.Header
	data     []byte
}

// channel keeps the messages of one subject, all that were ever published to it, and the
// queue groups that read them. The channel of a pattern keeps a second copy of the
// messages on the subjects that match it, under sequences of its own. The broker's lock
// guards it.
type channel struct {
	broker  *Broker
	name    string
	pattern bool            // its name is a pattern
	log     []storedMessage // log[i] has sequence i+1
	groups  map[groupKey]*group
}

// matches reports whether the channel's name is a pattern that covers the subject.
func (ch *channel) matches(subject string) bool {
	return ch.pattern && transport.Covers(ch.name, subject)
}

// copyStored fills a pattern's channel with the messages that are stored already, oldest
// first.
func (ch *channel) copyStored() {
	for _, other := range ch.broker.channels {
		if !other.pattern && ch.matches(other.name) {
			ch.log = append(ch.log, other.log...)
		}
	}
	slices.SortFunc(ch.log, func(a, b storedMessage) int { return cmp.Compare(a.order, b.order) })
	for i := range ch.log {
		ch.log[i].sequence = uint64(i) + 1
	}
}

// store appends the message to the channel and sends it to the groups that have room.
func (ch *channel) store(m transport.Message) {
	ch.broker.order++
	ch.log = append(ch.log, storedMessage{
		subject: m.Subject, sequence: uint64(len(ch.log)) + 1, order: ch.broker.order, time: time.Now(),
		header: m.Header, data: append([]byte(nil), m.Data...),
	})
	if ch.broker.changed != nil {
		close(ch.broker.changed)
		ch.broker.changed = nil
	}
	for _, g := range ch.groups {
		g.dispatch()
	}
}

// first returns the sequence at which a new group begins that starts at that position.
func (ch *channel) first(p transport.Position) uint64 {
	end := uint64(len(ch.log)) + 1
	switch p.Kind() {
	case transport.StartNewOnly:
		return end
	case transport.StartLastReceived:
		return max(end-1, 1)
	case transport.StartSequence:
		return min(p.Sequence(), end)
	case transport.StartTime, transport.StartAgo:
		from := p.Time(time.Now())
		for _, m := range ch.log {
			if !m.time.Before(from) {
				return m.sequence
			}
		}
		return end
	default:
		return 1
	}
}
