package deadletter

import (
	"context"
	"maps"
	"strings"
	"unicode"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// RedrivenFor is a header of each event that was put back. Its value is the queue group that
// could not handle the event; a name that a header can't hold, with control characters or with
// spaces at its ends, is escaped (events.EscapeGroup). Brokers without headers do not carry it.
const RedrivenFor = "Redriven-For"

// publishResult is the outcome of a publish.
type publishResult struct {
	event *event
	err   error
}

// publish publishes an event on its subject. takeResult takes the outcome.
func (r *redriver) publish(ctx context.Context, e *event, dead events.DeadLetter) {
	m, err := r.message(ctx, dead)
	if err == nil {
		r.countPublishes(1)
		e.publish.OnDecided = transport.ReceiptFunc(func(err error) { r.addResult(e, err) })
		if err = r.session.Sender().PublishAsync(ctx, m, &e.publish); err != nil {
			r.countPublishes(-1)
		}
	}
	switch {
	case err == nil:
		r.published(e)
	case ctx.Err() != nil, r.session.Conn.Err() != nil: // the Redrive ends
	default:
		r.decide(e, failed, err)
	}
}

// countPublishes changes the number of publishes that have no outcome yet.
func (r *redriver) countPublishes(by int) {
	r.mu.Lock()
	r.publishing += by
	r.changed.Broadcast()
	r.mu.Unlock()
	r.wakeUp()
}

// published says that the event's publish is under way. It gives the publish up at once if
// the Redrive has ended meanwhile.
func (r *redriver) published(e *event) {
	r.mu.Lock()
	e.sent = true
	ending, cause := r.ending, r.cause
	r.mu.Unlock()
	if ending {
		e.publish.GiveUp(cause)
	}
}

// addResult passes the outcome of a publish to the goroutine of run. It does not wait.
func (r *redriver) addResult(e *event, err error) {
	r.mu.Lock()
	r.results = append(r.results, publishResult{e, err})
	r.mu.Unlock()
	r.wakeUp()
}

// wakeUp makes run look at what has changed.
func (r *redriver) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// takeResults takes all outcomes that there are.
func (r *redriver) takeResults() {
	r.mu.Lock()
	results := r.results
	r.results = nil
	r.mu.Unlock()
	for _, p := range results {
		r.takeResult(p)
	}
}

// takeResult decides about an event whose publish has an outcome, and settles its dead
// letters. An event that is not stored because the Redrive or the connection ends stays
// undecided, and is not counted.
func (r *redriver) takeResult(p publishResult) {
	r.mu.Lock()
	ending := r.ending
	r.mu.Unlock()
	switch {
	case p.err == nil:
		r.decide(p.event, redriven, nil)
	case !ending && r.session.Conn.Err() == nil:
		r.decide(p.event, failed, p.err)
	}
	r.countPublishes(-1)
	r.settleAll(p.event)
}

// message returns the event's message as it was, except for headers that would keep the
// broker from storing it again.
func (r *redriver) message(ctx context.Context, dead events.DeadLetter) (transport.Message, error) {
	m := transport.Message{Subject: string(dead.Original), Data: dead.Data}
	header := transport.Header(dead.Header)
	if dead.Truncated {
		d, err := r.readOriginal(ctx, dead)
		if err != nil {
			return m, err
		}
		m.Data, header = d.payload, d.Header
	}
	if r.features.Deduplicate {
		m.ID = "redrive/" + dead.ID // with the event's own ID the broker would take it for the first publish
	}
	if r.features.Headers {
		m.Header = maps.Clone(header)
		if m.Header == nil {
			m.Header = make(transport.Header, 1)
		}
		maps.DeleteFunc(m.Header, func(name string, _ []string) bool {
			return strings.HasPrefix(strings.ToLower(name), "nats-") // the first publish's requests to the broker
		})
		m.Header[RedrivenFor] = []string{headerValue(dead.Group)}
	}
	return m, nil
}

// headerValue returns the group's name as a header can hold it.
func headerValue(group string) string {
	if strings.ContainsFunc(group, unicode.IsControl) || strings.TrimSpace(group) != group {
		return events.EscapeGroup(group)
	}
	return group
}
