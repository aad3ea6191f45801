package session

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/sgtickets/common/transport"
)

// groups are the queue groups in which listeners of one client listen, and the type of their
// events: the broker sends each event to any of a group's members. The zero value is ready.
type groups struct {
	mu      sync.Mutex
	members map[groupName]*groupType
}

// groupName names what the members of a queue group share at the broker.
type groupName struct{ subject, group, durable string }

// groupType is the type of events of the members of a group, and how many they are.
type groupType struct {
	events  reflect.Type
	members int
}

// JoinGroup notes that a listener to events of a type joins a queue group; leave takes that
// back, and is to be called once. It returns an error that matches transport.ErrInvalid if a
// listener of this client to another type of events is a member: each event would go to one of
// the two. Who listens without a group, or to payloads without a type, which is nil, may join
// at any time.
func (s *Session) JoinGroup(config transport.SubscribeConfig, events reflect.Type) (leave func(), err error) {
	if config.Group == "" || events == nil {
		return func() {}, nil
	}
	g := &s.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	name := groupName{config.Subject, config.Group, config.Durable}
	member := g.members[name]
	if member == nil {
		member = &groupType{events: events}
		if g.members == nil {
			g.members = make(map[groupName]*groupType)
		}
		g.members[name] = member
	}
	if member.events != events {
		return nil, fmt.Errorf("%w event type %s: another listener of this client listens to %s in queue group %q with event type %s, "+
			"and each event goes to one of the two: use one type in both, or give this listener another queue group",
			transport.ErrInvalid, TypeName(events), config.Subject, config.Group, TypeName(member.events))
	}
	member.members++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		member.members--
		if member.members == 0 {
			delete(g.members, name)
		}
	}, nil
}

// TypeName returns the name of a type of events with the path of its package: two packages may
// have a type of the same name. nil has none.
func TypeName(events reflect.Type) string {
	switch {
	case events == nil:
		return ""
	case events.PkgPath() == "":
		return events.String()
	default:
		return events.PkgPath() + "." + events.Name()
	}
}
