package listener

import (
	"fmt"
	"slices"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// AllSubjects stands for every subject of a group, in [DeadLettersOf].
const AllSubjects subjects.Subject = ">"

// DeadLettersOf says whose dead letters [NewDeadLetters] receives: those that the queue group
// Group has made of the events of Subject. Group is the group's name as its listeners have it;
// without a queue group it is the durable's name, or [NoGroup]. It is a value without effects.
type DeadLettersOf struct {
	Group   string           // the queue group that could not handle the events
	Subject subjects.Subject // of the events, such as order:created; or AllSubjects
}

// Validate returns an error that matches client.ErrInvalid if one of the fields can't be what
// it is said to be, or if both look swapped: Group names an event of the platform, and Subject
// none.
func (of DeadLettersOf) Validate() error {
	if err := validName("group of the dead letters", of.Group); err != nil {
		return err
	}
	if of.Subject == AllSubjects {
		return nil
	}
	if err := swapped("group of the dead letters", of.Group, of.Subject); err != nil {
		return err
	}
	if err := subjects.Valid(string(events.DeadLetterSubject(of.Group, of.Subject))); err != nil {
		return fmt.Errorf("%w subject of the dead letters: %w", transport.ErrInvalid, err)
	}
	return nil
}

// NewDeadLetters returns a listener that receives the dead letters of a group: those of one
// of its subjects, or, over JetStream, of [AllSubjects]. NATS Streaming has no wildcards, so
// that AllSubjects is refused there: make a listener for each subject, and [Run] them
// together.
//
//	l, err := listener.NewDeadLetters(c, "alerts",
//		listener.DeadLettersOf{Group: "payments", Subject: subjects.OrderCreated}, handle)
//
// queueGroup is the listener's own, such as "alerts". Everything else, durables and options
// included, is as with [New]. deadletter.Redrive has a queue group of its own: it still gets
// a dead letter that was acknowledged here. A dead letter that can't be handled does not
// become a dead letter again: it comes until it is handled.
//
// Where names hold dots, two pairs of group and subject may have the same subject for their
// dead letters. The fields Group and Original tell whose a dead letter is.
func NewDeadLetters(c *client.Client, queueGroup string, of DeadLettersOf, h Handler[events.DeadLetter], opts ...Option) (*Listener[events.DeadLetter], error) {
	subject := events.DeadLetterSubject(of.Group, of.Subject)
	err := of.Validate()
	if s := access.Session(c); err == nil && of.Subject == AllSubjects && s != nil && !s.Conn.Features().Wildcards {
		err = fmt.Errorf("%w: AllSubjects: this broker has no wildcards; make a listener for each subject, and run them together with Run", transport.ErrUnsupported)
	}
	if err != nil {
		return nil, &Error{Subject: subject, Group: queueGroup, Err: err}
	}
	// Whatever codec the client's listeners have by default, dead letters are JSON, and
	// make no dead letters.
	l, err := newOn(c, subject, queueGroup, h, slices.Concat([]Option{Codec(codec.JSON{}), NoDeadLetters()}, opts))
	if err != nil {
		return nil, err
	}
	l.core.stuckRemedy = remedyOfDeadLetters
	return l, nil
}
