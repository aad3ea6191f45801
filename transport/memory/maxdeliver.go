package memory

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// MaxDeliver makes the broker deliver each event at most n times to a queue group or a durable,
// as the max_deliver of a JetStream consumer does that operators made: each delivery counts,
// whatever handlers did. An event that nobody has acknowledged by then is given up when its ack
// wait ends, or when it is given back; the members tell that (client.EventMessagesGivenUp). It belongs to
// JetStream; beside NATSStreaming it has no effect. Default 0: any number of times.
func MaxDeliver(n int) Option {
	return func(o *options) error {
		if n < 0 {
			return fmt.Errorf("%w option MaxDeliver: %d; must be at least 0", transport.ErrInvalid, n)
		}
		o.maxDeliver = n
		return nil
	}
}

// isLast reports whether a message that was sent so often is sent no more.
func (o *options) isLast(deliveries int) bool {
	return o.features.Nak && o.maxDeliver > 0 && deliveries >= o.maxDeliver
}

// givesUp gives a message up that was sent as often as it may be. The members tell it.
func (g *group) givesUp(sequence uint64) bool {
	u := g.unacked[sequence]
	if u == nil || !g.channel.broker.options.isLast(u.deliveries) {
		return false
	}
	g.acknowledge(u)
	for _, m := range g.members {
		removed := transport.Removed{
			Subject: m.config.Subject, Group: m.config.Group, Durable: m.config.Durable, First: sequence, Last: sequence, Count: 1,
		}
		go m.conn.tell(transport.Event{ // the broker's lock is held
			Kind: transport.MessagesGivenUp, Time: time.Now(), Removed: removed,
			Err: fmt.Errorf("the event of sequence %d was delivered %d times, which is the broker's option MaxDeliver, and nobody has acknowledged it", sequence, u.deliveries),
		})
	}
	return true
}
