package stan

import (
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// subscriptionState is what the supervisor knows of a subscription.
type subscriptionState struct {
	phase          subscriptionPhase
	epoch          uint64            // in which inner was opened
	inner          stan.Subscription // stan.go's, where there is one; only the shell uses it
	confirmed      bool              // the caller of Subscribe was told that it is open
	degraded       bool              // the owner was told that it can't be opened again
	reopenOnceOpen bool              // reopen was called while it was being opened
	attempt        int               // attempts to open it in a row that the server refused
	shell          *subscription     // the supervisor does not look at it
}

type subscriptionPhase int

const (
	subscriptionWaiting subscriptionPhase = iota // it is opened when there is a session
	subscriptionOpening                          // it is being opened
	subscriptionOpen                             // it receives
	subscriptionPausing                          // the server refused it; until the next attempt
	subscriptionRemoved                          // nobody wants it any more
)

// subscribe adds a subscription, to be opened now or when there is a session.
func (s *supervisor) subscribe(sub *subscriptionState) {
	s.subscriptions[sub] = struct{}{}
	if s.phase == phaseUp {
		s.open(sub)
	}
}

// open opens a subscription. If stan.go still has one, that is closed first.
func (s *supervisor) open(sub *subscriptionState) {
	inner := sub.inner
	sub.phase, sub.epoch, sub.inner, sub.reopenOnceOpen = subscriptionOpening, s.epoch, nil, false
	s.emit(effect{do: openSubscription, session: s.session, sub: sub, inner: inner})
}

// reopen opens a subscription anew, to begin from another position. If it is being opened,
// it is opened anew after that; without a session it is opened when there is one.
func (s *supervisor) reopen(sub *subscriptionState) {
	switch {
	case sub.phase == subscriptionOpening:
		sub.reopenOnceOpen = true
	case sub.phase == subscriptionOpen && s.phase == phaseUp:
		s.open(sub)
	}
}

// onOpened takes in the result of an attempt to open a subscription, begun in that epoch
// and session. With an error, inner is what could not be closed before.
func (s *supervisor) onOpened(sub *subscriptionState, epoch, sessionNo uint64, inner stan.Subscription, err error) {
	if sessionNo == s.sessionNo && (leavesGhost(err) || endsSession(err) || isForgotten(err)) {
		// The server may have the subscription, and would deliver to nobody; asked again, it
		// says that there is one already. Or the server does not know the client any more. Or it
		// does not know the subscription, since its store was restored from a backup: then it
		// may have another one of this session, from the time of the backup, and would deliver to
		// nobody. Only a new session helps.
		s.onSessionLost(sessionNo, err)
	}
	if sub.phase == subscriptionRemoved {
		s.closeUnwanted(sessionNo, inner, 0)
		return
	}
	if epoch != s.epoch {
		sub.phase = subscriptionWaiting
		if sessionNo == s.sessionNo {
			sub.inner = inner // it is closed before the subscription is opened again
		}
		if s.phase == phaseUp {
			s.open(sub)
		}
		return
	}
	switch {
	case err == nil:
		sub.phase, sub.inner, sub.attempt = subscriptionOpen, inner, 0
		s.setSubscriptionDegraded(sub, nil)
		if !sub.confirmed {
			sub.confirmed = true
			s.emit(effect{do: answerSubscribe, sub: sub})
		}
		if sub.reopenOnceOpen {
			s.open(sub)
		}
	case isUnconnected(err): // onDisconnect is about to be called
		sub.phase, sub.inner = subscriptionWaiting, inner
	case !sub.confirmed && inner == nil: // the caller of Subscribe decides what to do
		delete(s.subscriptions, sub)
		sub.phase = subscriptionRemoved
		s.emit(effect{do: answerSubscribe, sub: sub, err: err})
	default:
		sub.phase, sub.inner = subscriptionPausing, inner
		sub.attempt++
		s.setSubscriptionDegraded(sub, err)
		s.emit(effect{do: pauseOpening, sub: sub, after: natsconn.Again.Delay(sub.attempt)})
	}
}

// setSubscriptionDegraded tells the owner that a subscription can't be opened again, or
// that it can.
func (s *supervisor) setSubscriptionDegraded(sub *subscriptionState, err error) {
	if sub.degraded == (err != nil) {
		return
	}
	sub.degraded = err != nil
	kind := transport.Degraded
	if err == nil {
		kind = transport.Recovered
	}
	s.emit(effect{do: notifyOwner, sub: sub, event: transport.Event{Kind: kind, Err: explainSubscribe(err)}})
}

// onOpenPauseOver says that it is time for the next attempt to open a subscription.
func (s *supervisor) onOpenPauseOver(sub *subscriptionState) {
	if sub.phase != subscriptionPausing {
		return
	}
	sub.phase = subscriptionWaiting
	if s.phase == phaseUp {
		s.open(sub)
	}
}

// remove takes a subscription out. It returns what the caller is to close, if that can be
// done now.
func (s *supervisor) remove(sub *subscriptionState) stan.Subscription {
	if sub.phase == subscriptionRemoved {
		return nil
	}
	inner, opening := sub.inner, sub.phase == subscriptionOpening
	delete(s.subscriptions, sub)
	sub.phase, sub.inner = subscriptionRemoved, nil
	if sub.degraded { // nobody reports it any more
		sub.degraded = false
		s.emit(effect{do: notifyOwner, sub: sub, event: transport.Event{Kind: transport.Recovered, Err: transport.ErrClosed}})
	}
	if inner != nil && s.phase == phaseUp && sub.epoch == s.epoch && !opening {
		return inner
	}
	s.closeUnwanted(s.sessionNo, inner, 0)
	return nil
}

// onInnerClosed takes in the result of closing what nobody wants any more, in that
// session. If the server may not have heard of it, the server would go on delivering, so
// that it is closed again. If the server does not know it, see onOpened.
func (s *supervisor) onInnerClosed(inner stan.Subscription, sessionNo uint64, err error) {
	switch {
	case isUnheard(err):
		s.closeUnwanted(sessionNo, inner, natsconn.Again.First)
	case isForgotten(err):
		s.onSessionLost(sessionNo, err)
	}
}

// closeUnwanted closes what nobody wants any more, after that time or when the link is
// back. With its session the server forgets it.
func (s *supervisor) closeUnwanted(sessionNo uint64, inner stan.Subscription, after time.Duration) {
	switch {
	case inner == nil || sessionNo != s.sessionNo:
	case s.phase == phaseUp:
		s.emit(effect{do: closeInner, inner: inner, after: after})
	case s.phase == phaseCut || s.phase == phaseChecking:
		s.unwanted = append(s.unwanted, inner)
	}
}

// forgetInnerSubscriptions says that the server has forgotten all subscriptions with the
// session.
func (s *supervisor) forgetInnerSubscriptions() {
	s.unwanted = nil
	for sub := range s.subscriptions {
		sub.inner = nil
		if sub.phase == subscriptionOpen || sub.phase == subscriptionPausing {
			sub.phase = subscriptionWaiting
		}
	}
}

// restoreSubscriptions opens all subscriptions in a new epoch.
func (s *supervisor) restoreSubscriptions() {
	for _, inner := range s.unwanted {
		s.emit(effect{do: closeInner, inner: inner})
	}
	s.unwanted = nil
	for sub := range s.subscriptions {
		// Those that are open are opened anew: what the server had sent into the connection
		// that is gone would wait out its ack wait, and comes at once to one that is new.
		if sub.phase == subscriptionWaiting || sub.phase == subscriptionOpen {
			s.open(sub)
		}
	}
}
