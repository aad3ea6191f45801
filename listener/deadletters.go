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

// AllSubjects stands for every subject of a group, in [NewDeadLetters].
const AllSubjects subjects.Subject = ">"

// NewDeadLetters returns a listener that receives the dead letters of a group: those of
// one of its subjects, or, over JetStream, of [AllSubjects]. NATS Streaming has no
// wildcards, so that AllSubjects is refused there: make a listener for each subject, and
// [Run] them together.
//
// queueGroup is the listener's own, such as "alerts". Everything else, durables and options
// included, is as with [New]. deadletter.Redrive has a queue group of its own: it still gets
// a dead letter that was acknowledged here. A dead letter that can't be handled does not
// become a dead letter again: it comes until it is handled.
//
// Where names hold dots, two pairs of group and subject may have the same subject for their
// dead letters. The fields Group and Original tell whose a dead letter is.
func NewDeadLetters(
	c *client.Client, queueGroup, group string, subject subjects.Subject, h Handler[events.DeadLetter], opts ...Option,
) (*Listener[events.DeadLetter], error) {
	of := events.DeadLetterSubject(group, subject)
	if err := validDeadLetters(c, group, subject); err != nil {
		return nil, &Error{Subject: of, Group: queueGroup, Err: err}
	}
	// Whatever codec the client's listeners have by default, dead letters are JSON, and
	// make no dead letters.
	l, err := newOn(c, of, queueGroup, h, slices.Concat([]Option{Codec(codec.JSON{}), NoDeadLetters()}, opts))
	if err != nil {
		return nil, err
	}
	l.core.stuckRemedy = remedyOfDeadLetters
	return l, nil
}

func validDeadLetters(c *client.Client, group string, subject subjects.Subject) error {
	if err := validName("group of the dead letters", group); err != nil {
		return err
	}
	if events.IsMark(events.DeadLetterSubject(group, subject)) {
		return reservedGroup("group of the dead letters", group)
	}
	if subject != AllSubjects {
		if err := subjects.Valid(string(events.DeadLetterSubject(group, subject))); err != nil {
			return fmt.Errorf("%w subject of the dead letters: %w", transport.ErrInvalid, err)
		}
		return nil
	}
	if c != nil && !access.Session(c).Conn.Features().Wildcards {
		return fmt.Errorf("%w: AllSubjects: this broker has no wildcards; make a listener for each subject, and run them together with Run", transport.ErrUnsupported)
	}
	return nil
}
