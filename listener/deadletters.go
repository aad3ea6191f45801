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

// NewDeadLetters returns a listener that receives the dead letters of a group:
// those of one of its subjects, or, over JetStream, of [AllSubjects]. NATS
// Streaming can't do that, and it is refused: make a listener for each subject
// there, and [Run] them together.
//
// queueGroup is that of the listener itself, such as "alerts", and everything
// else, durables and options included, is as with [New]. To acknowledge a dead
// letter here does not take it from deadletter.Redrive, which has a queue group of
// its own. One that is never handled becomes no dead letter again: it comes until
// it is.
//
// Where names hold dots, two pairs of group and subject may share their dead
// letters' subject; Group and Original of each tell whose it is.
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
