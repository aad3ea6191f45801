package jetstream

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

const (
	// foreignSubjects is for how many subjects at most it is told that others answer.
	foreignSubjects = 100
	// foreignTickets is of how many publishes at most a connection remembers that others
	// have answered them.
	foreignTickets = 4096
	// foreignLookEvery is how often at most the stream is looked at because others answer.
	foreignLookEvery = time.Second
)

// foreign is what a connection knows of answers to publishes that its stream has not
// written. It is safe for concurrent use.
type foreign struct {
	pulls rateLimit // when to tell that others answer requests for messages

	mu         sync.Mutex
	count      uint64
	subjects   map[string]struct{} // of which it was told
	tickets    map[transport.Ticket]string
	mismatched []mismatch
	lookedAt   time.Time
}

// mismatch is an attempt that another stream has refused because it is not this client's.
type mismatch struct {
	ticket  transport.Ticket
	attempt outbox.Attempt
	subject string
	stream  string // the other one
	cause   error
}

// add counts an answer, and returns whether to tell of its subject, and whether to look at
// the stream. The subject is "" if the publish was decided before.
func (f *foreign) add(t transport.Ticket, subject, whose string, now time.Time) (tell, look bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.subjects == nil {
		f.subjects, f.tickets = make(map[string]struct{}), make(map[transport.Ticket]string)
	}
	if len(f.tickets) >= foreignTickets {
		clear(f.tickets)
	}
	if subject != "" {
		f.tickets[t] = whose
	}
	if _, told := f.subjects[subject]; !told && len(f.subjects) < foreignSubjects && (subject != "" || len(f.subjects) == 0) {
		f.subjects[subject] = struct{}{}
		tell = true
	}
	if look = now.Sub(f.lookedAt) >= foreignLookEvery; look {
		f.lookedAt = now
	}
	return tell, look
}

// counted returns how many there were.
func (f *foreign) counted() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// answered returns who else has answered that publish, "" if nobody has, and forgets it.
func (f *foreign) answered(t transport.Ticket) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	whose := f.tickets[t]
	delete(f.tickets, t)
	return whose
}

func (f *foreign) mismatch(m mismatch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mismatched) < foreignTickets {
		f.mismatched = append(f.mismatched, m)
	}
}

func (f *foreign) takeMismatched() []mismatch {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.mismatched
	f.mismatched = nil
	return taken
}

// foreignAnswer deals with an answer that this client's stream has not written. It is no
// outcome: the stream's own answer is waited for.
func (c *conn) foreignAnswer(t transport.Ticket, a outbox.Attempt, ack pubAck) {
	subject, _ := c.sender.subject(t)
	whose := ack.whose()
	tell, look := c.foreign.add(t, subject, whose, time.Now())
	if tell {
		c.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: c.foreignError(subject, whose)})
	}
	if subject == "" {
		return
	}
	if ack.Error != nil && ack.Error.ErrorCode == errStreamNotMatch {
		// Within an account and domain a subject belongs to one stream. So this client's
		// stream may have lost the subject to that one.
		c.foreign.mismatch(mismatch{t, a, subject, ack.Stream, ack.Error})
		look = true
	}
	if look {
		c.mindStream() // it may be gone, or in another domain since
	}
}

func (c *conn) foreignError(subject, whose string) error {
	on := "of this client"
	if subject != "" {
		on = fmt.Sprintf("on %q", subject)
	}
	return fmt.Errorf("publishes %s are answered by others than stream %q; such answers are passed over, and the stream's own is waited for (%s): "+
		"find out who subscribes to the subjects of events and replies to what it gets, or which stream of another domain or account takes them",
		on, c.cfg.ClusterID, whose)
}

// refuseMismatched decides the publishes that another stream has refused, if the stream as
// it was just seen does not take their subjects.
func (c *conn) refuseMismatched() {
	for _, m := range c.foreign.takeMismatched() {
		if c.takes(m.subject) {
			continue // the other one is in another account or domain
		}
		c.sender.onRefused(m.ticket, m.attempt, fmt.Errorf("%w: another stream than %q has subject %q: take it out of stream %q, or connect to that one by its name: %w",
			transport.ErrRefused, c.cfg.ClusterID, m.subject, m.stream, m.cause)).Tell()
	}
}

// becauseForeign adds to the outcome of a publish that is abandoned that others have answered it.
func (c *conn) becauseForeign(t transport.Ticket, o outbox.Outcome) outbox.Outcome {
	whose := c.foreign.answered(t)
	if whose == "" || !errors.Is(o.Err(), transport.ErrOutcomeUnknown) {
		return o
	}
	return o.Because(fmt.Errorf("stream %q has not answered, but someone else has: %s", c.cfg.ClusterID, whose))
}
