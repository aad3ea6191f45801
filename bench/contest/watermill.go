package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	v1 "github.com/ThreeDotsLabs/watermill-nats/pkg/nats"
	v2 "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
)

// mill is watermill with encoding/json in the payload, and its own marshaler around
// it: that of v1 is gob, the only one that it has.
type mill struct {
	publisher message.Publisher
	subject   string
	// subscribe connects and returns what is to begin a durable subscription of that name.
	subscribe func(group string) (message.Subscriber, error)
	forget    func(ctx context.Context, group string) error // what is left of one
	closers   []func()
}

func connectMillStan(_ context.Context, url string) (link, error) {
	conn, err := stan.Connect(cluster, rand.Text(), stan.NatsURL(url))
	if err != nil {
		return nil, err
	}
	p, err := v1.NewStreamingPublisherWithStanConn(conn, v1.StreamingPublisherPublishConfig{Marshaler: v1.GobMarshaler{}}, nil)
	if err != nil {
		return nil, err
	}
	return &mill{
		publisher: p, subject: newSubject(),
		subscribe: func(group string) (message.Subscriber, error) {
			return v1.NewStreamingSubscriber(v1.StreamingSubscriberConfig{
				ClusterID: cluster, ClientID: rand.Text(), QueueGroup: group, DurableName: group,
				Unmarshaler: v1.GobMarshaler{},
				StanOptions: []stan.Option{stan.NatsURL(url)},
				StanSubscriptionOptions: []stan.SubscriptionOption{
					stan.MaxInflight(inFlight), stan.DeliverAllAvailable(),
				},
			}, watermill.NopLogger{})
		},
		forget:  func(context.Context, string) error { return nil }, // it offers no way
		closers: []func(){func() { _ = p.Close() }},
	}, nil
}

func connectMillJetStream(ctx context.Context, url string) (link, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := ensureStream(ctx, js)
	if err != nil {
		return nil, err
	}
	p, err := v2.NewPublisherWithNatsConn(nc, v2.PublisherPublishConfig{Marshaler: &v2.NATSMarshaler{}, SubjectCalculator: v2.DefaultSubjectCalculator}, nil)
	if err != nil {
		return nil, err
	}
	return &mill{
		publisher: p, subject: newSubject(),
		subscribe: func(group string) (message.Subscriber, error) {
			return v2.NewSubscriber(v2.SubscriberConfig{
				URL: url, QueueGroupPrefix: group,
				JetStream: v2.JetStreamConfig{
					DurablePrefix: group, AckAsync: true,
					SubscribeOptions: []nats.SubOpt{
						nats.DeliverAll(), nats.AckExplicit(), nats.MaxAckPending(inFlight), nats.BindStream(cluster),
					},
				},
			}, watermill.NopLogger{})
		},
		forget: func(ctx context.Context, group string) error {
			_ = stream.DeleteConsumer(ctx, group) // unsubscribing may have done it
			return nil
		},
		closers: []func(){func() { _ = p.Close() }},
	}, nil
}

func (l *mill) publish(_ context.Context, e ticket) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return l.publisher.Publish(l.subject, message.NewMessage(watermill.NewUUID(), data))
}

// pipeline publishes from 16 goroutines: watermill has no other way.
func (l *mill) pipeline(ctx context.Context, n int, event func(int) ticket) error {
	const goroutines = 16
	var wg sync.WaitGroup
	errs := make(chan error, goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n; i += goroutines {
				if err := l.publish(ctx, event(i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (l *mill) receive(ctx context.Context, r reception) error {
	group := rand.Text()
	sub, err := l.subscribe(group)
	if err != nil {
		return err
	}
	got := newReceived(r)
	messages, err := sub.Subscribe(ctx, l.subject)
	if err != nil {
		return err
	}
	got.subscribed()
	var failed error
	go func() {
		for m := range messages {
			var e ticket
			if err := json.Unmarshal(m.Payload, &e); err != nil {
				failed = err
			}
			last := got.event(e)
			m.Ack()
			if last {
				got.finish()
			}
		}
	}()
	<-got.all
	if err := sub.Close(); err != nil {
		return err
	}
	if err := l.forget(ctx, group); err != nil {
		return err
	}
	return failed
}

func (l *mill) close() {
	for _, f := range l.closers {
		f()
	}
}
