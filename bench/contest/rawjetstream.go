package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rawJetStream is nats.go's jetstream with encoding/json.
type rawJetStream struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	subject string
	headers bool // those of this library, made anew for each event

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

// connectRawHeaders is raw with the headers that this library gives each event.
func connectRawHeaders(ctx context.Context, url string) (link, error) {
	k, err := connectRawJetStream(ctx, url)
	if l, ok := k.(*rawJetStream); ok {
		l.headers = true
	}
	return k, err
}

// withHeaders is an event as this library publishes it.
func (l *rawJetStream) withHeaders(data []byte) *nats.Msg {
	id := rand.Text()
	return &nats.Msg{Subject: l.subject, Data: data, Header: nats.Header{
		"ce-specversion":               {"1.0"},
		"ce-id":                        {id},
		"ce-type":                      {l.subject},
		"ce-source":                    {"/" + cluster + "/" + l.subject},
		"ce-time":                      {time.Now().UTC().Format(time.RFC3339Nano)},
		"ce-datacontenttype":           {"application/json"},
		"Content-Type":                 {"application/json"},
		jetstream.MsgIDHeader:          {id},
		jetstream.ExpectedStreamHeader: {cluster},
	}}
}

// streamSubjects are those of the stream: of the contest, and of dead letters, which
// ours has by default.
var streamSubjects = []string{"bench.>", "dead.>"}

// ensureStream makes the stream that all contestants use.
func ensureStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	return js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: cluster, Subjects: streamSubjects, Storage: jetstream.MemoryStorage,
	})
}

func (l *rawJetStream) publish(ctx context.Context, e ticket) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if l.headers {
		_, err = l.js.PublishMsg(ctx, l.withHeaders(data))
	} else {
		_, err = l.js.Publish(ctx, l.subject, data)
	}
	return err
}

// patient: with a full window, wait for longer than the 200 ms after which a publish is
// refused, lest a machine that is busy end the contest.
var patient = []jetstream.PublishOpt{jetstream.WithStallWait(10 * time.Second)}

func (l *rawJetStream) pipeline(ctx context.Context, n int, event func(int) ticket) error {
	for i := range n {
		data, err := json.Marshal(event(i))
		if err != nil {
			return err
		}
		if l.headers {
			_, err = l.js.PublishMsgAsync(l.withHeaders(data), patient...)
		} else {
			_, err = l.js.PublishAsync(l.subject, data, patient...)
		}
		if err != nil {
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
		last := got.event(e)
		if err := m.Ack(); err != nil {
			failed = err
		}
		if last {
			got.finish()
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
