package main

import (
	"context"
	"crypto/rand"
	stdjson "encoding/json"
	"errors"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// ours is this library, with its defaults.
type ours struct {
	client    *client.Client
	subject   subjects.Subject
	publisher *publisher.Publisher[ticket]
	async     bool              // pipeline by PublishAsync and not PublishAll
	listener  []listener.Option // beside MaxInFlight
}

func connectOurs(ctx context.Context, url string, opts ...client.Option) (*ours, error) {
	opts = append(opts, client.Logger(slog.New(slog.DiscardHandler)))
	c, err := client.Build(ctx, cluster, rand.Text(), url, opts...)
	if err != nil {
		return nil, err
	}
	l := &ours{client: c, subject: subjects.Subject(newSubject())}
	current.Store(&l.subject)
	l.publisher, err = publisher.New[ticket](c)
	return l, err
}

func connectOursStan(ctx context.Context, url string) (link, error) { return connectOurs(ctx, url) }

func connectOursJetStream(ctx context.Context, url string) (link, error) {
	return connectOurs(ctx, url, overJetStream())
}

func overJetStream() client.Option {
	return client.JetStream(jetstream.OnlySubjects(streamSubjects...), jetstream.MemoryStorage())
}

// connectOursAsync is ours with PublishAsync.
func connectOursAsync(ctx context.Context, url string) (link, error) {
	l, err := connectOurs(ctx, url)
	if err == nil {
		l.async = true
	}
	return l, err
}

// connectOursJetStreamAsync is that over JetStream.
func connectOursJetStreamAsync(ctx context.Context, url string) (link, error) {
	l, err := connectOurs(ctx, url, overJetStream())
	if err == nil {
		l.async = true
	}
	return l, err
}

// connectOursPlain is ours with encoding/json as codec.
func connectOursPlain(ctx context.Context, url string) (link, error) {
	l, err := connectOurs(ctx, url)
	if err == nil {
		l.listener = append(l.listener, listener.Codec(plainJSON{}))
	}
	return l, err
}

// plainJSON is encoding/json as a codec.
type plainJSON struct{}

var _ codec.Codec = plainJSON{}

func (plainJSON) Encode(v any) ([]byte, error)    { return stdjson.Marshal(v) }
func (plainJSON) Decode(data []byte, v any) error { return stdjson.Unmarshal(data, v) }
func (plainJSON) ContentType() string             { return "application/json" }

func (l *ours) publish(ctx context.Context, e ticket) error {
	current.Store(&l.subject)
	return l.publisher.Publish(ctx, e)
}

func (l *ours) pipeline(ctx context.Context, n int, event func(int) ticket) error {
	current.Store(&l.subject)
	if l.async {
		return l.pipelineAsync(ctx, n, event)
	}
	stored, err := l.publisher.PublishAll(ctx, func(yield func(ticket) bool) {
		for i := range n {
			if !yield(event(i)) {
				return
			}
		}
	})
	if err == nil && stored != n {
		err = errors.New("not all were stored, and no error")
	}
	return err
}

// pipelineAsync looks at the outcome of each, as a caller does who wants to know which
// were stored: of the oldest ones, once the window is full of later ones.
func (l *ours) pipelineAsync(ctx context.Context, n int, event func(int) ticket) error {
	pending := make([]*publisher.Pending, 0, 2*inFlight)
	land := func(n int) error {
		for _, p := range pending[:n] {
			if err := p.Wait(ctx); err != nil {
				return err
			}
		}
		pending = append(pending[:0], pending[n:]...)
		return nil
	}
	for i := range n {
		if len(pending) == cap(pending) {
			if err := land(inFlight); err != nil {
				return err
			}
		}
		p, err := l.publisher.PublishAsync(ctx, event(i))
		if err != nil {
			return err
		}
		pending = append(pending, p)
	}
	return land(len(pending))
}

func (l *ours) receive(ctx context.Context, r reception) error {
	got := newReceived(r)
	li, err := l.newListener(rand.Text(), got)
	if err != nil {
		return err
	}
	return listenUntil(ctx, li, got)
}

func (l *ours) newListener(group string, got *received) (*listener.Listener[ticket], error) {
	current.Store(&l.subject)
	return listener.New(l.client, group, func(_ context.Context, e ticket, _ listener.Delivery) error {
		if got.event(e) {
			got.finish() // Listen acknowledges it, and drains
		}
		return nil
	}, append([]listener.Option{listener.MaxInFlight(inFlight)}, l.listener...)...)
}

// listenUntil listens until all have come, and deletes the durable.
func listenUntil(ctx context.Context, li *listener.Listener[ticket], got *received) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := li.Ready(), make(chan error, 1)
	go func() { ended <- li.Listen(listening) }()
	select {
	case <-ready:
		got.subscribed()
	case err := <-ended:
		return err
	}
	select {
	case <-got.all:
	case err := <-ended:
		return errors.Join(errors.New("it stopped listening"), err)
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	return li.DeleteDurable(ctx)
}

// fill publishes n events to the subject.
func (l *ours) fill(ctx context.Context, n int, e tickets) error {
	current.Store(&l.subject)
	p, err := publisher.New[ticket](l.client)
	if err != nil {
		return err
	}
	filler := ours{publisher: p, subject: l.subject}
	return filler.pipeline(ctx, n, e.at)
}

func (l *ours) close() { _ = l.client.Close(context.Background()) }
