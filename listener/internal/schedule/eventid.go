package schedule

import (
	"hash/maphash"

	"github.com/sgtickets/common/transport"
)

// EventID stands for an event, wherever it is stored: 128 bits made of its CloudEvents source
// and id, its type and its payload. Zero: the event has no source or no id. By CloudEvents'
// rules source and id would do; type and payload keep events of a publisher that breaks the
// rule from being taken for copies. The message ID for deduplication is no event ID, since
// the broker lets it be used again when its deduplication window has passed.
type EventID [2]uint64

var eventIDSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func eventIDOf(d *transport.Delivery) EventID {
	source, id, ok := CloudEvent(d.Header)
	if !ok {
		return EventID{}
	}
	type identity struct {
		source, id, kind string
		payload          uint64
	}
	e := identity{source: source, id: id}
	if kinds := d.Header["ce-type"]; len(kinds) == 1 {
		e.kind = kinds[0]
	}
	var hashes EventID
	for i, seed := range eventIDSeeds {
		e.payload = maphash.Bytes(seed, d.Data)
		hashes[i] = maphash.Comparable(seed, e)
	}
	return hashes
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
