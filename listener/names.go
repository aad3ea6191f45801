package listener

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// validName checks the name of a queue group or a durable.
func validName(what, name string) error {
	if err := events.ValidGroup(name); err != nil {
		return fmt.Errorf("%w %s: %w", transport.ErrInvalid, what, err)
	}
	return nil
}

// checkNames checks the names of the queue group and its durable. The NATS Streaming server
// joins the two by a ':', and refuses a durable name with another one. It is refused over
// every broker, so that a service can move to another.
func (o *options) checkNames(group string) error {
	if group == "" {
		return nil // DurableName has checked its own
	}
	if err := validName("queue group", group); err != nil {
		return err
	}
	switch {
	case !strings.Contains(o.durable, ":"):
		return nil
	case o.durableSet:
		return fmt.Errorf("%w option DurableName %q: it holds a ':', with which the NATS Streaming server joins durable name and queue group; take another name",
			transport.ErrInvalid, o.durable)
	default:
		return fmt.Errorf("%w queue group %q: it holds a ':', and is the durable's name, too, where the NATS Streaming server allows none; "+
			"use DurableName with the name that the group's other members give their durable, or Ephemeral if they have none", transport.ErrInvalid, group)
	}
}

// swapped returns an error if a queue group and a subject look swapped: the group is named
// like an event of the platform, and the subject is no such event.
func swapped(what, group string, subject subjects.Subject) error {
	if all := subjects.All(); !slices.Contains(all, subjects.Subject(group)) || slices.Contains(all, subject) {
		return nil
	}
	return fmt.Errorf("%w %s %q and subject %q: they look swapped, since %q is an event's subject", transport.ErrInvalid, what, group, subject, group)
}
