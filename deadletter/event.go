package deadletter

import (
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/listener"
)

// messageKey tells the messages of a channel apart, also after the server has lost its
// store and sequences begin at 1 again.
type messageKey struct {
	sequence uint64
	stored   int64 // when the server stored it, in nanoseconds since 1970
}

func keyOf(d *listener.Delivery) messageKey { return messageKey{d.Sequence, d.Timestamp.UnixNano()} }

// outcome says what became of an event.
type outcome int

const (
	undecided outcome = iota // it is being published, or was when the Redrive ended
	redriven                 // it is stored on its subject again
	kept                     // its dead letter is left alone
	failed                   // it could not be put back
)

// event is an event that dead letters are about. They have its ID. The redriver's lock
// guards it, except for publish.
type event struct {
	id          string
	outcome     outcome
	deadLetters []*deadLetter // usually one
	publish     publishing.Pending
	sent        bool // it is published, or was: publish tells the outcome, and can be given up
}

// deadLetter is a dead letter that was delivered. The redriver's lock guards it.
type deadLetter struct {
	key      messageKey
	event    *event
	delivery listener.Delivery // the latest
	claimed  bool              // the latest delivery is settled, or somebody is about to settle it
}
