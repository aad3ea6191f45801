package listener

import (
	"log/slog"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// about names an event in the log: its sequence, the attempt if there was one, and its entity where the type of
// events has one and the payload can be decoded. Log lines about single events are rare enough
// to decode it once more: what was decoded before may be in use, or used for another event.
// An event that no handler here has run, and that was sent often enough to be suspect, is not
// decoded: that may be what ends the process.
func (c *core) about(d *transport.Delivery, attempt int, more ...any) []any {
	about := []any{slog.Uint64("sequence", d.Sequence)}
	if attempt > 0 {
		about = append(about, slog.Int("attempt", attempt))
	}
	if c.eventType.entity != nil && (attempt > 0 || d.Deliveries <= suspectAfter) {
		if id := c.eventType.entity(d); id != "" {
			about = append(about, slog.String("entity", id))
		}
	}
	return append(about, more...)
}

// attributes names the event of a task in the log.
func (r *runner) attributes(t *schedule.Task, more ...any) []any {
	r.mu.Lock()
	attempt, d := t.Attempt, t.Delivery // a late acknowledgement may be of an event that is tried again by now
	r.mu.Unlock()
	return r.core.about(&d, attempt, more...)
}

// attributesOf names the event of an effect in the log.
func (r *runner) attributesOf(e *schedule.Effect, more ...any) []any {
	return r.core.about(&e.Delivery, e.Attempt, more...)
}

// payload is what the log tells of the payload: nothing, unless it was asked for.
func (r *runner) payload(d *transport.Delivery) slog.Attr {
	n := min(len(d.Data), r.core.session.LoggedPayload)
	if n == 0 {
		return slog.Attr{}
	}
	return slog.String("payload", string(d.Data[:n]))
}

// entityIn returns the function that tells the entity of an event that was delivered, and ""
// where it can't be told; nil for types that are no events.Versioned.
func entityIn[T events.Event](subject subjects.Subject, o options) func(d *transport.Delivery) string {
	if _, versioned := any(new(T)).(events.Versioned); !versioned {
		return nil
	}
	return func(d *transport.Delivery) (id string) {
		defer func() {
			if recover() != nil { // the codec's panic, or the type's own; the worker that runs the event tells of it
				id = ""
			}
		}()
		event := new(T)
		payload, err := payloadOf(d, subject)
		if err != nil || o.codec.Decode(payload, event) != nil {
			return ""
		}
		v, _ := any(event).(events.Versioned)
		return v.EntityID()
	}
}
