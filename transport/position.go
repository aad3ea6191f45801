package transport

import (
	"fmt"
	"time"
)

// Position is where in a channel a new subscription begins. The zero value is
// [All]. Positions are values; compare them with ==.
type Position struct {
	kind     PositionKind
	sequence uint64
	time     time.Time
	ago      time.Duration
}

// PositionKind tells the positions apart.
type PositionKind int

// The kinds of positions.
const (
	StartAll PositionKind = iota
	StartNewOnly
	StartLastReceived
	StartSequence
	StartTime
	StartAgo
)

// The positions that need no argument.
var (
	// All begins with the oldest message that the broker still has.
	All = Position{kind: StartAll}
	// NewOnly begins with the first message stored after the subscription was made.
	NewOnly = Position{kind: StartNewOnly}
	// LastReceived begins with the newest message that the broker has: the last value.
	LastReceived = Position{kind: StartLastReceived}
)

// Sequence begins with the message of that sequence; the first is 1.
func Sequence(n uint64) Position { return Position{kind: StartSequence, sequence: n} }

// Since begins with the first message stored at t or later.
func Since(t time.Time) Position { return Position{kind: StartTime, time: t} }

// Ago begins with the first message stored at most d before the subscription is made.
func Ago(d time.Duration) Position { return Position{kind: StartAgo, ago: d} }

// Kind returns the kind of the position.
func (p Position) Kind() PositionKind { return p.kind }

// Sequence returns the sequence of a [StartSequence] position, else 0.
func (p Position) Sequence() uint64 { return p.sequence }

// Time returns the moment of a [StartTime] position, and of a [StartAgo] one
// seen from now; else the zero time.
func (p Position) Time(now time.Time) time.Time {
	if p.kind == StartAgo {
		return now.Add(-p.ago)
	}
	return p.time
}

// Validate returns an error that matches [ErrInvalid] if no message can be at
// the position.
func (p Position) Validate() error {
	switch {
	case p.kind == StartSequence && p.sequence == 0:
		return fmt.Errorf("%w: sequence 0: the first message of a channel has sequence 1", ErrInvalid)
	case p.kind == StartTime && p.time.IsZero():
		return fmt.Errorf("%w: since the zero time: use All to begin with the oldest", ErrInvalid)
	case p.kind == StartAgo && p.ago <= 0:
		return fmt.Errorf("%w: %v ago: must be positive", ErrInvalid, p.ago)
	}
	return nil
}

// String describes the position for logs.
func (p Position) String() string {
	switch p.kind {
	case StartNewOnly:
		return "new only"
	case StartLastReceived:
		return "last received"
	case StartSequence:
		return fmt.Sprintf("sequence %d", p.sequence)
	case StartTime:
		return "since " + p.time.UTC().Format(time.RFC3339Nano)
	case StartAgo:
		return p.ago.String() + " ago"
	default:
		return "all"
	}
}
