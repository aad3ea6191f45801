package listener

import (
	"time"

	"github.com/sgtickets/common/transport"
)

// Position is where in a channel a listener begins that the server does not
// know yet; see [StartAt].
type Position = transport.Position

// The positions that need no argument.
var (
	// All begins with the oldest event that the server still has. The default.
	All = transport.All
	// NewOnly begins with the first event stored after the listener began to listen.
	NewOnly = transport.NewOnly
	// LastReceived begins with the newest event that the server has: the last value.
	LastReceived = transport.LastReceived
)

// Sequence begins with the event of that sequence in its channel. The first is 1;
// 0 is refused by [New].
func Sequence(n uint64) Position { return transport.Sequence(n) }

// Since begins with the first event stored at t or later; over NATS Streaming, whose
// protocol is not exact, up to 2 s earlier. A time to come is not waited for: the
// listener begins with the next event, as with [NewOnly]. The zero time is refused
// by [New].
func Since(t time.Time) Position { return transport.Since(t) }

// Ago begins with the first event stored at most d before the listener begins to
// listen; over NATS Streaming up to 2 s earlier. It must be positive, or [New]
// refuses it.
func Ago(d time.Duration) Position { return transport.Ago(d) }

// skew is how far the clocks of a server and of this host may be apart before a
// comparison of their times means something.
const skew = 10 * time.Second

// contradicts tells whether the first event that was delivered can't be at the
// position asked for, so that the server must have known the durable or the
// group before, and gone on where it stood.
func contradicts(p Position, first *transport.Delivery, began time.Time) bool {
	switch p.Kind() {
	case transport.StartNewOnly:
		return first.Timestamp.Before(began.Add(-skew))
	case transport.StartSequence:
		return first.Sequence < p.Sequence()
	case transport.StartTime, transport.StartAgo:
		from := p.Time(began)
		if from.After(began) {
			from = began // not waited for
		}
		return first.Timestamp.Before(from.Add(-skew))
	default:
		return false
	}
}
