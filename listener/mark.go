package listener

import (
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// mark is a message on [events.MarkSubject]. The latest of each Listen counts: it says which
// suspect events the Listen runs, or is about to run.
type mark struct {
	Process   string         `json:"process"`  // of the client that listens; random
	Listen    string         `json:"listen"`   // random
	Number    uint64         `json:"number"`   // of the marks of the Listen, from 1
	ClientID  string         `json:"clientId"` // of that client
	Time      time.Time      `json:"time"`     // by the clock of the process
	Events    []runningEvent `json:"events,omitempty"`
	RenewedIn float64        `json:"renewedIn,omitempty"` // in seconds: by then the next mark is stored, if one of them still runs
}

// runningEvent is an event of a mark.
type runningEvent struct {
	ID       string           `json:"id"` // as of its dead letter: events.DeadLetterID
	Subject  subjects.Subject `json:"subject"`
	Sequence uint64           `json:"sequence"`
}

// markSubject returns where the marks of an event are. NATS Streaming has a channel for each
// subject, and not many: there it is one for the group. A stream may store the dead letters
// of some subjects alone, as "dead.*.<subject>": elsewhere it is one for each subject.
func (c *core) markSubject(d *transport.Delivery) subjects.Subject {
	if c.session.Conn.Features().Wildcards {
		return events.MarkSubject(d.Subject)
	}
	return events.MarkSubject(events.EscapeGroup(c.deadLetterGroup()))
}

func (c *core) runningEventOf(d *transport.Delivery) runningEvent {
	subject := subjects.Subject(d.Subject)
	return runningEvent{events.DeadLetterID(subject, d.Sequence, d.Timestamp, c.deadLetterGroup()), subject, d.Sequence}
}

// readMark reads a mark. It reports whether the message is one.
func readMark(d *transport.Delivery) (schedule.Mark, bool) {
	var m mark
	if err := (codec.JSON{}).Decode(d.Data, &m); err != nil || m.Process == "" || m.Listen == "" || m.Number == 0 {
		return schedule.Mark{}, false
	}
	interval := time.Duration(min(max(m.RenewedIn, 0), longestMarkInterval.Seconds()) * float64(time.Second))
	var ids []string
	for _, e := range m.Events {
		ids = append(ids, e.ID)
	}
	return schedule.Mark{
		Process: m.Process, Listen: m.Listen, Number: m.Number, Events: ids, Interval: interval, Stored: d.Timestamp, Client: m.ClientID,
	}, true
}

// passOverMark acknowledges a mark that a raw listener gets beside the dead letters of its
// pattern, and reports whether the delivery is one. A listener to the marks themselves gets
// them.
func (c *core) passOverMark(d *transport.Delivery) bool {
	if !events.IsMark(subjects.Subject(d.Subject)) || events.IsMark(c.subject) {
		return false
	}
	if d.Settler.Ack() != nil {
		d.Settler.Release()
	}
	return true
}
