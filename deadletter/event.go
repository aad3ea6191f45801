package deadletter

import (
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// messageKey tells the messages of a channel apart, also after the server has lost its
// store and sequences begin at 1 again.
type messageKey struct {
	sequence uint64
	stored   int64 // when the server stored it, in nanoseconds since 1970
}

// outcome says what became of an event.
type outcome int

const (
	undecided outcome = iota // it is being published
	redriven                 // it is stored on its subject again
	kept                     // its dead letter is left alone
	failed                   // it could not be put back
)

// event is an event that dead letters are about. They have its ID.
type event struct {
	id          string
	outcome     outcome
	deadLetters []*deadLetter // usually one
	publish     publishing.Pending
}

// deadLetter is a dead letter that was delivered.
type deadLetter struct {
	key     messageKey
	event   *event
	settler transport.Settler // of the latest delivery; nil once it is settled
}
