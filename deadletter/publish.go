package deadletter

import (
	"context"
	"maps"
	"strings"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// RedrivenFor is a header of each event that was put back. Its value is the queue group that
// could not handle the event. Brokers without headers do not carry it.
const RedrivenFor = "Redriven-For"

// publish publishes an event on its subject. takeResult takes the outcome.
func (r *redriver) publish(ctx context.Context, e *event, dead events.DeadLetter) {
	m, err := r.message(ctx, dead)
	if err == nil {
		e.publish.OnDecided = transport.ReceiptFunc(func(err error) { r.queue.addResult(e, err) })
		err = r.session.Sender().PublishAsync(ctx, m, &e.publish)
	}
	switch {
	case err == nil:
		r.publishing++
	case ctx.Err() != nil: // the Redrive ends
	default:
		r.decide(e, failed, err)
	}
}

// message returns the event's message as it was, except for headers that would keep the
// broker from storing it again.
func (r *redriver) message(ctx context.Context, dead events.DeadLetter) (transport.Message, error) {
	m := transport.Message{Subject: string(dead.Original), Data: dead.Data}
	header := transport.Header(dead.Header)
	if dead.Truncated {
		d, err := readOriginal(ctx, r.session.Conn, dead)
		if err != nil {
			return m, err
		}
		m.Data, header = d.Data, d.Header
	}
	features := r.session.Conn.Features()
	if features.Deduplicate {
		m.ID = "redrive/" + dead.ID // with the event's own ID the broker would take it for the first publish
	}
	if features.Headers {
		m.Header = maps.Clone(header)
		if m.Header == nil {
			m.Header = make(transport.Header, 1)
		}
		maps.DeleteFunc(m.Header, func(name string, _ []string) bool {
			return strings.HasPrefix(strings.ToLower(name), "nats-") // the first publish's requests to the broker
		})
		m.Header[RedrivenFor] = []string{dead.Group}
	}
	return m, nil
}

// takeResult takes the outcome of a publish.
func (r *redriver) takeResult(p publishResult) {
	r.publishing--
	switch {
	case p.err == nil:
		r.decide(p.event, redriven, nil)
	case r.session.Conn.Err() == nil:
		r.decide(p.event, failed, p.err)
	default: // the connection is over, and so is the Redrive
	}
}

// abandonPublishes ends the wait for the publishes that have no outcome yet because of
// cause, and decides about those that are stored. The others are not counted: the next
// Redrive gets their dead letters.
func (r *redriver) abandonPublishes(cause error) {
	for _, e := range r.events {
		if e.outcome == undecided {
			e.publish.GiveUp(cause)
		}
	}
	for r.publishing > 0 {
		for _, p := range r.queue.takeResults() {
			if p.err != nil {
				r.publishing--
				continue
			}
			r.takeResult(p)
		}
		if r.publishing > 0 {
			<-r.queue.wake
		}
	}
}
