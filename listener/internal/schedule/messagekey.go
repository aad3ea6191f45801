package schedule

import (
	"slices"

	"github.com/sgtickets/common/transport"
)

// MessageKey tells the stored messages of a listener apart. The sequence alone does not:
// a server that lost its store begins again at 1.
type MessageKey struct {
	Sequence uint64
	Stored   int64 // in nanoseconds since 1970
}

// KeyOf returns the key of a delivered message.
func KeyOf(d transport.Delivery) MessageKey {
	return MessageKey{Sequence: d.Sequence, Stored: d.Timestamp.UnixNano()}
}

// compare orders messages as they were stored.
func (k MessageKey) compare(other MessageKey) int {
	switch {
	case k == other:
		return 0
	case k.Stored < other.Stored, k.Stored == other.Stored && k.Sequence < other.Sequence:
		return -1
	default:
		return 1
	}
}

// sortByMessage puts tasks in the order in which their messages were stored.
func sortByMessage(all []*Task) {
	slices.SortFunc(all, func(a, b *Task) int { return a.Message.compare(b.Message) })
}
