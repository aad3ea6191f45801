package stan

import (
	"context"
	"reflect"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
)

// guardedSession is a session whose requests say when they are forbidden. It implements
// stanSession.
type guardedSession struct {
	*stanGoSession

	requests *requests
	subjects requestSubjects
}

// guard makes the session guarded. r is told what the NATS server refuses.
func guard(s *stanGoSession, r *requests) *guardedSession {
	return &guardedSession{s, r, requestSubjectsOf(s.sc)}
}

func (s *guardedSession) subscribe(config transport.SubscribeConfig, receive func(transport.Delivery)) (stan.Subscription, error) {
	var inner stan.Subscription
	err := s.requests.do(s.subjects.subscribe, func() (err error) {
		inner, err = s.stanGoSession.subscribe(config, receive)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardedSubscription{inner, s}, nil
}

func (s *guardedSession) check(ctx context.Context) error {
	return s.requests.do(s.subjects.ping, func() error { return s.stanGoSession.check(ctx) })
}

func (s *guardedSession) close() error {
	return s.requests.do(s.subjects.close, s.stanGoSession.close)
}

// guardedSubscription is a subscription whose requests say when they are forbidden.
type guardedSubscription struct {
	stan.Subscription

	session *guardedSession
}

func (s *guardedSubscription) Close() error {
	return s.session.requests.do(s.session.subjects.closeSubscription, s.Subscription.Close)
}

func (s *guardedSubscription) Unsubscribe() error {
	return s.session.requests.do(s.session.subjects.unsubscribe, s.Subscription.Unsubscribe)
}

// inboxesOf reads where a subscription receives events, and where the server takes their
// acknowledgements, out of stan.go. They are empty if it can't.
func inboxesOf(sub stan.Subscription) (events, acks string) {
	v := reflect.Indirect(reflect.ValueOf(sub))
	for v.Kind() == reflect.Struct {
		events, acks := v.FieldByName("inbox"), v.FieldByName("ackInbox")
		if events.Kind() == reflect.String && acks.Kind() == reflect.String {
			return events.String(), acks.String()
		}
		inner := v.FieldByName("Subscription")
		if inner.Kind() != reflect.Interface {
			break
		}
		v = reflect.Indirect(inner.Elem())
	}
	return "", ""
}

// tryAck sends an acknowledgement of no event, which the server ignores, to see whether it may
// be sent.
func (s *guardedSession) tryAck(inbox, channel string) {
	ack, _ := (&pb.Ack{Subject: channel}).Marshal()
	_ = s.nc.Publish(inbox, ack)
}

// tryPublish sends an empty message, which nobody takes in, to see whether it may be sent.
func (s *guardedSession) tryPublish(subject string) { _ = s.nc.Publish(subject, nil) }

// trySubscribe subscribes for a moment, to see whether that is permitted.
func (s *guardedSession) trySubscribe(subject string) {
	if sub, err := s.nc.Subscribe(subject, func(*nats.Msg) {}); err == nil {
		_ = sub.Unsubscribe()
	}
}
