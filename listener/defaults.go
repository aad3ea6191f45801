package listener

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// eventKind is what options need to know of the type of a listener's events. The zero value
// is that of a raw listener, whose events have no type.
type eventKind struct {
	name      reflect.Type // nil: no type
	validates bool         // it has a method Validate
	versioned bool
	hasKey    func(key any) bool // whether the key of an OrderingKey is one of this type
}

func kindOf[T events.Event]() eventKind {
	event := any(new(T))
	_, validates := event.(events.Validator)
	_, versioned := event.(events.Versioned)
	return eventKind{
		name: reflect.TypeFor[T](), validates: validates, versioned: versioned,
		hasKey: func(key any) bool { _, is := key.(func(T) string); return is },
	}
}

// refuse returns an error if one of the listener's own options can't be used for its events.
func (k eventKind) refuse(own *options) error {
	if k.name == nil {
		if names := own.needType(); len(names) > 0 {
			return fmt.Errorf("%w option %s: a raw listener's events have no type; make the listener with New, or leave the option out",
				transport.ErrInvalid, strings.Join(names, ", "))
		}
		return nil
	}
	for _, key := range own.keys {
		if !k.hasKey(key) {
			return fmt.Errorf("%w option OrderingKey: it is a %T, and the listener's events are %v", transport.ErrInvalid, key, k.name)
		}
	}
	switch {
	case own.validate && !k.validates:
		return fmt.Errorf("%w option Validate: %v has no method Validate; give it one, or leave the option out", transport.ErrInvalid, k.name)
	case own.versions != nil && !k.versioned:
		return fmt.Errorf("%w option InVersionOrder: %v has no methods EntityID and EntityVersion (events.Versioned); give it both, or leave the option out",
			transport.ErrInvalid, k.name)
	}
	return nil
}

// passOver takes those of the client's defaults back that can't be used for the listener's
// events, or that contradict an option of the listener's own. own holds those alone, and o the
// defaults.
func (o *options) passOver(own *options, kind eventKind) {
	if kind.name == nil {
		for _, name := range o.needType() {
			o.notePassed(name, "a raw listener's events have no type")
		}
		o.forgetType()
	}
	o.passOverByType(kind)
	const mine = "the listener's own options exclude it"
	if own.ephemeral && o.durableSet {
		o.durable, o.durableSet = "", false
		o.notePassed("DurableName", mine)
	}
	if own.durableSet && o.ephemeral {
		o.ephemeral = false
		o.notePassed("Ephemeral", mine)
	}
	if own.versions != nil {
		o.versions = nil // it is replaced
		if o.manualAck {
			o.manualAck = false
			o.notePassed("ManualAck", mine)
		}
		if o.keys != nil {
			o.keys = nil
			o.notePassed("OrderingKey", mine)
		}
	}
	if o.versions != nil && (own.manualAck || own.keys != nil) {
		o.versions = nil
		o.notePassed("InVersionOrder", mine)
	}
	// Of these two the default gives way as far as it has to.
	if own.maxInFlight > 0 && own.concurrency == 0 && o.concurrency > own.maxInFlight {
		o.concurrency = own.maxInFlight
		o.notePassed("Concurrency", "it is more than the listener's own MaxInFlight, and is lowered to that")
	}
	if own.concurrency > 0 && own.maxInFlight == 0 && o.maxInFlight > 0 && o.maxInFlight < own.concurrency {
		o.maxInFlight = own.concurrency
		o.notePassed("MaxInFlight", "it is less than the listener's own Concurrency, and is raised to that")
	}
}

func (o *options) passOverByType(kind eventKind) {
	if kind.name == nil {
		return
	}
	if fitting := slices.DeleteFunc(slices.Clone(o.keys), func(key any) bool { return !kind.hasKey(key) }); len(fitting) < len(o.keys) {
		o.keys = fitting
		o.notePassed("OrderingKey", "it is of another type of events")
	}
	if o.validate && !kind.validates {
		o.validate = false
		o.notePassed("Validate", "the type of events has no method Validate")
	}
	if o.versions != nil && !kind.versioned {
		o.versions = nil
		o.notePassed("InVersionOrder", "the type of events is no events.Versioned")
	}
}

func (o *options) notePassed(option, why string) {
	o.passed = append(o.passed, []any{slog.String("option", option), slog.String("why", why)})
}

// logPassed tells of the client's defaults that the listener does not have.
func (c *core) logPassed() {
	for _, about := range c.options.passed {
		c.log.Debug("an option of the client's listener.Defaults is passed over here", about...)
	}
}
