package consuming

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// Settings are those of a consumer and its stream that operators may have changed, and that keep
// messages from a subscription. Nobody tells of such a change: it is seen when the machine looks.
type Settings struct {
	OtherFilter   string    // what the consumer is for, if not for the subject; else empty
	AckPending    int       // how many messages are delivered and not acknowledged, at all members
	MaxAckPending int       // how many may be; 0: any number
	Paused        bool      // nothing is delivered
	PausedUntil   time.Time // until then
	Priority      bool      // requests have to name a priority group, which those of this library don't
	Lacks         bool      // the stream does not take the subject any more
	Transform     string    // how the stream stores messages of the subject under another one; empty: it does not
}

// hindrance is why a subscription gets no messages, or not all, though all is connected.
type hindrance struct {
	reason string
	err    error
}

// busy reports whether the subscription has messages, or could have some: then the state is looked
// at more often.
func (m *Machine) busy(now time.Time) bool {
	return len(m.unacked) > 0 || m.waiting || len(m.hindered) > 0 || now.Sub(m.arrivedAt) < lookEvery
}

// noteHindrances tells which hindrances have come up, and which are over.
func (m *Machine) noteHindrances(now time.Time, info Info) {
	m.waiting = info.Pending > 0 || info.AckPending > 0
	is := m.hindrancesOf(now, info)
	for _, h := range m.hindered {
		if !slices.ContainsFunc(is, func(other hindrance) bool { return other.reason == h.reason }) {
			m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.Recovered, Reason: h.reason}})
		}
	}
	for _, h := range is {
		if !slices.ContainsFunc(m.hindered, func(other hindrance) bool { return other.reason == h.reason && other.err.Error() == h.err.Error() }) {
			m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.Degraded, Reason: h.reason, Err: h.err}})
		}
	}
	m.hindered = is
}

// withdrawHindrances takes back what was told: the subscription ends.
func (m *Machine) withdrawHindrances() {
	for _, h := range m.hindered {
		m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.Recovered, Reason: h.reason, Err: transport.ErrClosed}})
	}
	m.hindered = nil
}

// hindrancesOf returns what the settings say.
func (m *Machine) hindrancesOf(now time.Time, info Info) (is []hindrance) {
	of := "events of " + m.config.Subject
	add := func(reason string, err error) { is = append(is, hindrance{reason, err}) }
	if info.Paused {
		add(of+" are not received: consumer "+m.config.Consumer+" is paused", fmt.Errorf(
			"it is paused until %s: nats consumer resume ends that", info.PausedUntil.UTC().Format(time.RFC3339)))
	}
	if info.Priority {
		add(of+" are not received: consumer "+m.config.Consumer+" has priority groups", errors.New(
			"the server refuses requests that name none, and this library names none: remove the consumer's priority_groups, or use another durable name"))
	}
	if info.OtherFilter != "" {
		add(of+" are not received: consumer "+m.config.Consumer+" is for another subject", fmt.Errorf(
			"its filter_subject is %q, not %q, and what is not of the subject is given back: set it back, or use another durable name", info.OtherFilter, m.config.Subject))
	}
	if info.Stream.Known && info.Lacks {
		add(of+" are not received: the stream does not take them any more", fmt.Errorf(
			"subject %q was removed from the stream, or moved to another one: add it to the stream again", m.config.Subject))
	}
	if info.Stream.Known && info.Transform != "" {
		add(of+" are not received: the stream stores them under another subject", fmt.Errorf(
			"the stream's subject_transform is %s: remove it, or listen to the subject under which they are stored", info.Transform))
	}
	if m.isFull(now, info) {
		add(of+" are held up: as many as max_ack_pending of consumer "+m.config.Consumer+" allows are not acknowledged", fmt.Errorf(
			"%d events are delivered and not acknowledged, such as those that wait for a retry, and max_ack_pending is %d: "+
				"raise it (option MaxAckPending with UpdateConsumer, or nats consumer edit), or mend the handler", info.AckPending, info.MaxAckPending))
	}
	return is
}

// isFull reports whether the subscription could have more messages, and gets none for some time,
// since too many are unacknowledged.
func (m *Machine) isFull(now time.Time, info Info) bool {
	return info.MaxAckPending > 0 && info.AckPending >= info.MaxAckPending && info.Pending > 0 &&
		m.requests.outstanding > 0 && now.Sub(m.arrivedAt) >= Heartbeat && now.Sub(m.begunAt) >= Heartbeat
}
