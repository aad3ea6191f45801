package stan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/unproven"
)

// innerSubscription is a subscription of stan.go that remembers what it acknowledged last.
// The protocol confirms no acknowledgement. So those that may have gone down with the link
// are sent again over the next one before the subscription is closed: once it is closed, the
// server sends to other members what it takes for not acknowledged.
type innerSubscription struct {
	stan.Subscription // set when opened is closed, and so is the next one

	ackInbox string // the NATS subject of acknowledgements

	opened      chan struct{} // closed when the server has answered
	session     *stanGoSession
	subject     string // the channel
	server      string // the ID of the NATS server that it was opened over
	link        uint64 // number of the link that it was opened over
	closed      atomic.Bool
	mayBeClosed atomic.Bool // a request to close it was sent, and no answer came

	mu   sync.Mutex
	acks unproven.Log[sentAck]
}

// sentAck is an acknowledgement that was sent, or that was to be sent while the link was away.
type sentAck struct {
	sequence uint64
	stored   int64 // when the event was stored, in nanoseconds: another store's event has another time
}

// remembers returns how many acknowledgements a subscription remembers. When another member of
// a group leaves, its events go to this one whatever MaxInFlight says. So there are many more.
func remembers(maxInFlight int) int { return max(2*maxInFlight, 1024) }

func newInnerSubscription(session *stanGoSession, config transport.SubscribeConfig) *innerSubscription {
	return &innerSubscription{
		session: session, subject: config.Subject, server: session.nc.ConnectedServerId(), link: session.nc.Stats().Reconnects,
		opened: make(chan struct{}), acks: unproven.New[sentAck](remembers(config.MaxInFlight)),
	}
}

// open takes in what stan.go returned.
func (s *innerSubscription) open(inner stan.Subscription, err error) (stan.Subscription, error) {
	defer close(s.opened)
	if err != nil {
		return nil, err
	}
	if s.ackInbox, err = ackInboxOf(inner); err != nil {
		_ = inner.Close()
		return nil, err
	}
	s.Subscription = inner
	s.session.enter(s)
	return s, nil
}

// ackInboxOf reads an unexported field of stan.go's subscription.
func ackInboxOf(inner stan.Subscription) (string, error) {
	if s := reflect.Indirect(reflect.ValueOf(inner)); s.Kind() == reflect.Struct {
		if inbox := s.FieldByName("ackInbox"); inbox.Kind() == reflect.String && inbox.Len() > 0 {
			return inbox.String(), nil
		}
	}
	return "", fmt.Errorf("acknowledging through %T: %w: only stan.go v0.10.4 is known", inner, transport.ErrUnsupported)
}

// ack acknowledges an event. It is remembered first, since it can't be sent while the link is
// away.
func (s *innerSubscription) ack(sequence uint64, stored int64) error {
	s.mu.Lock()
	s.acks.Add(sentAck{sequence, stored})
	s.mu.Unlock()
	if s.closed.Load() {
		return transport.ErrSubscriptionClosed
	}
	switch err := s.send(sequence); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed):
		return transport.ErrSubscriptionClosed
	default:
		return fmt.Errorf("acknowledgement not sent: %w", err)
	}
}

func (s *innerSubscription) send(sequence uint64) error {
	data, err := (&pb.Ack{Subject: s.subject, Sequence: sequence}).Marshal()
	if err != nil {
		return err
	}
	return s.session.nc.Publish(s.ackInbox, data)
}

// Close closes the subscription. It can be called again if the server may not have got the
// request. An error that isForgotten means that the server's store is another one, or was put
// back to an earlier state.
func (s *innerSubscription) Close() error {
	s.closed.Store(true)
	s.resendAcks()
	err := s.Subscription.Close()
	switch {
	case errors.Is(err, stan.ErrCloseReqTimeout):
		s.mayBeClosed.Store(true)
	case isForgotten(err) && s.mayBeClosed.Load() && s.isSameServer():
		err = nil // the server has carried out an earlier request
	}
	if !isUnheard(err) {
		s.session.leave(s)
	}
	return err
}

// resendAcks sends again what was acknowledged last, if the link is not the one any more that
// the subscription was opened over. The server ignores what it has had. A sequence may be
// another event's by now, if the store was put back to an earlier state. That event must not be
// acknowledged. A server that was not restarted has the same store; another one is asked for
// the event with the highest of the sequences.
func (s *innerSubscription) resendAcks() {
	nc := s.session.nc
	if nc.Stats().Reconnects == s.link {
		return
	}
	s.mu.Lock()
	acks := slices.AppendSeq(make([]sentAck, 0, s.acks.Len()), s.acks.All())
	s.mu.Unlock()
	if len(acks) == 0 {
		return
	}
	highest := slices.MaxFunc(acks, func(a, b sentAck) int { return cmp.Compare(a.sequence, b.sequence) })
	if !s.isSameServer() && !s.isStored(highest) {
		return
	}
	for _, a := range acks {
		if s.send(a.sequence) != nil {
			return // the link is gone once more
		}
	}
}

// isSameServer reports whether the NATS server is the one that the subscription was opened over,
// and was not restarted since: then the store is the same, too.
func (s *innerSubscription) isSameServer() bool { return s.session.nc.ConnectedServerId() == s.server }

// isStored reports whether the server's store holds that event. It waits firstWait at most.
func (s *innerSubscription) isStored(event sentAck) bool {
	first := make(chan transport.Delivery, 1)
	probe, err := s.session.subscribe(transport.SubscribeConfig{
		Subject: s.subject, Start: transport.Sequence(event.sequence), MaxInFlight: 1, AckWait: time.Minute,
	}, func(d transport.Delivery) {
		select {
		case first <- d:
		default: // it is not the first
		}
	})
	if err != nil {
		return false
	}
	defer func() { _ = probe.Close() }()
	select {
	case d := <-first:
		return d.Sequence == event.sequence && d.Timestamp.UnixNano() == event.stored
	case <-time.After(firstWait):
		return false
	}
}

// innerSubscriptions are those of a session that the server has not confirmed to be closed.
// The zero value is empty. It is safe for concurrent use.
type innerSubscriptions struct {
	mu   sync.Mutex
	open map[*innerSubscription]struct{}
}

func (i *innerSubscriptions) enter(s *innerSubscription) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = make(map[*innerSubscription]struct{})
	}
	i.open[s] = struct{}{}
}

func (i *innerSubscriptions) leave(s *innerSubscription) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.open, s)
}

// resendAcks sends again what may have gone down with a link.
func (i *innerSubscriptions) resendAcks() {
	i.mu.Lock()
	open := slices.Collect(maps.Keys(i.open))
	i.mu.Unlock()
	for _, s := range open {
		s.resendAcks()
	}
}
