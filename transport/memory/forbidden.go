package memory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sgtickets/common/transport"
)

// forbidden is what clients may not do on demand. The broker's lock guards it.
type forbidden struct {
	publishes, acks []string // patterns
	told            []lack   // which connections have told that they may not acknowledge
}

// lack is a connection that may not acknowledge the events of a channel.
type lack struct {
	conn    *conn
	channel string
}

func (l lack) event(kind transport.EventKind) transport.Event {
	return transport.Event{
		Kind: kind, Time: time.Now(), Reason: "acknowledgements of " + l.channel + " are refused, so that its events come again: permission is missing",
		Err: fmt.Errorf("%w: on demand; (*memory.Broker).AllowAll ends it", transport.ErrForbidden),
	}
}

// covers reports whether one of the patterns covers the subject.
func covers(patterns []string, subject string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return transport.Covers(pattern, subject) })
}

// ForbidPublish makes the broker refuse publishes to a subject, or to those that a pattern
// covers, until AllowAll: they fail with transport.ErrForbidden, and are not stored.
func (b *Broker) ForbidPublish(pattern string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forbidden.publishes = append(b.forbidden.publishes, pattern)
}

// ForbidAcks makes the broker take no acknowledgements of the events of a subject, or of the
// subjects that a pattern covers, until AllowAll. As with the real brokers, who acknowledges
// gets no error, the events come again, and the connection is degraded.
func (b *Broker) ForbidAcks(pattern string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forbidden.acks = append(b.forbidden.acks, pattern)
}

// AllowAll ends what ForbidPublish and ForbidAcks began. Connections that were degraded for
// that reason are so no longer.
func (b *Broker) AllowAll() {
	b.mu.Lock()
	told := b.forbidden.told
	b.forbidden = forbidden{}
	b.mu.Unlock()
	slices.SortFunc(told, func(x, y lack) int {
		return strings.Compare(x.conn.clientID+" "+x.channel, y.conn.clientID+" "+y.channel)
	})
	for _, l := range told {
		e := l.event(transport.Recovered)
		e.Err = nil
		l.conn.tell(e)
	}
}

// refusesAck reports whether the broker takes no acknowledgement of the delivery. The
// connection tells it once.
func (s *settler) refusesAck() bool {
	b := s.group.channel.broker
	b.mu.Lock()
	l := lack{s.member.conn, s.group.channel.name}
	refuses := covers(b.forbidden.acks, l.channel)
	first := refuses && !slices.Contains(b.forbidden.told, l)
	if first {
		b.forbidden.told = append(b.forbidden.told, l)
	}
	b.mu.Unlock()
	if first {
		l.conn.tell(l.event(transport.Degraded))
	}
	return refuses
}
