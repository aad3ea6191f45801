package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rawJetStream is nats.go's jetstream with encoding/json.
type rawJetStream struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	subject string

	mu     sync.Mutex
	failed error // of what was published without waiting
}

func connectRawJetStream(ctx context.Context, url string) (link, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	l := &rawJetStream{nc: nc, subject: newSubject()}
	l.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(inFlight),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
			l.mu.Lock()
			l.failed = err
			l.mu.Unlock()
		}))
	if err != nil {
		return nil, err
	}
	l.stream, err = ensureStream(ctx, l.js)
	return l, err
}

// ensureStream makes the stream that all contestants use.
func ensureStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	return js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: cluster, Subjects: []string{"bench.>"}, Storage: jetstream.MemoryStorage,
	})
}

func (l *rawJetStream) publish(ctx context.Context, e ticket) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = l.js.Publish(ctx, l.subject, data)
	return err
}

func (l *rawJetStream) pipeline(ctx context.Context, n int, event func(int) ticket) error {
	for i := range n {
		data, err := json.Marshal(event(i))
		if err != nil {
			return err
		}
		if _, err := l.js.PublishAsync(l.subject, data); err != nil {
			return err
		}
	}
	select {
	case <-l.js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *rawJetStream) receive(ctx context.Context, r reception) error {
	got := newReceived(r)
	consumer, err := l.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: rand.Text(), FilterSubject: l.subject,
		AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: inFlight,
	})
	if err != nil {
		return err
	}
	var failed error
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		var e ticket
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			failed = err
		}
		got.event(e)
		if err := m.Ack(); err != nil {
			failed = err
		}
	}, jetstream.PullMaxMessages(inFlight))
	if err != nil {
		return err
	}
	got.subscribed()
	<-got.all
	consuming.Stop()
	<-consuming.Closed()
	if err := l.stream.DeleteConsumer(ctx, consumer.CachedInfo().Name); err != nil {
		return err
	}
	return failed
}

func (l *rawJetStream) close() { l.nc.Close() }
