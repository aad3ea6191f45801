package schedule

import (
	"hash/maphash"

	"github.com/sgtickets/common/transport"
)

// EventID stands for an event's own ID, wherever the event is stored: 128 bits made of
// its CloudEvents source and id. Zero: the event has none. The message ID for
// deduplication is no event ID, since the broker lets it be used again when its
// deduplication window has passed.
type EventID [2]uint64

var eventIDSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func eventIDOf(h transport.Header) EventID {
	source, id, ok := CloudEvent(h)
	if !ok {
		return EventID{}
	}
	type pair struct{ source, id string }
	p := pair{source, id}
	return EventID{maphash.Comparable(eventIDSeeds[0], p), maphash.Comparable(eventIDSeeds[1], p)}
}

// CloudEvent returns the CloudEvents attributes source and id, which together, by their
// specification, no two events share. ok is false unless both headers are there once
// and not empty.
func CloudEvent(h transport.Header) (source, id string, ok bool) {
	if h == nil {
		return "", "", false
	}
	sources, ids := h["ce-source"], h["ce-id"]
	if len(sources) != 1 || len(ids) != 1 || sources[0] == "" || ids[0] == "" {
		return "", "", false
	}
	return sources[0], ids[0], true
}
