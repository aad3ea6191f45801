package stan

import (
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// action is what an effect does.
type action int

const (
	dialSession      action = iota // begin a session, then onDialed
	pauseDialing                   // wait, then onDialPauseOver
	checkSession                   // wait, ask the server whether it knows the session, then onChecked
	dropSession                    // end the session without a word to the server
	openSubscription               // close inner, if there is one, open the subscription, then onOpened
	pauseOpening                   // wait, then onOpenPauseOver
	closeInner                     // wait, close inner, then onInnerClosed
	voidDeliveries                 // what was delivered and nobody has begun is void: it comes again
	answerSubscribe                // tell the caller of Subscribe that it is open, or err
	notifyOwner                    // of event
	wakeWriter                     // there may be publishes to send
	pausePublishing                // wait, then onGraceOver
	tellOutcome                    // tell the publisher
)

// effect is something that the supervisor wants done. The shell does it, see conn.perform.
type effect struct {
	do        action
	epoch     uint64 // of the supervisor when it decided so
	sessionNo uint64 // likewise
	session   stanSession
	sub       *subscriptionState
	inner     stan.Subscription
	after     time.Duration // how long to wait first
	err       error
	event     transport.Event
	outcome   outbox.Outcome
}

// emit adds an effect to those that the shell is to perform.
func (s *supervisor) emit(e effect) {
	e.epoch, e.sessionNo = s.epoch, s.sessionNo
	s.effects = append(s.effects, e)
}

// takeEffects returns the effects that have come together.
func (s *supervisor) takeEffects() []effect {
	all := s.effects
	s.effects = nil
	return all
}
