package jetstream

import (
	"context"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"
)

// checkedAPI is JetStream's API without answers that are about another stream or consumer
// than the request: every client that subscribes to the API's subjects can answer. nats.go itself
// refuses what is no answer of that kind at all.
type checkedAPI struct{ js.JetStream }

func (a checkedAPI) Stream(ctx context.Context, name string) (js.Stream, error) { //nolint:ireturn // as nats.go has it
	s, err := a.JetStream.Stream(ctx, name)
	return checkStream(s, err, name)
}

func (a checkedAPI) CreateStream(ctx context.Context, config js.StreamConfig) (js.Stream, error) { //nolint:ireturn // as nats.go has it
	s, err := a.JetStream.CreateStream(ctx, config)
	return checkStream(s, err, config.Name)
}

func (a checkedAPI) UpdateStream(ctx context.Context, config js.StreamConfig) (js.Stream, error) { //nolint:ireturn // as nats.go has it
	s, err := a.JetStream.UpdateStream(ctx, config)
	return checkStream(s, err, config.Name)
}

func (a checkedAPI) Consumer(ctx context.Context, stream, name string) (js.Consumer, error) { //nolint:ireturn // as nats.go has it
	c, err := a.JetStream.Consumer(ctx, stream, name)
	return checkConsumer(c, err, stream, name)
}

func (a checkedAPI) CreateConsumer(ctx context.Context, stream string, config js.ConsumerConfig) (js.Consumer, error) { //nolint:ireturn // as nats.go has it
	c, err := a.JetStream.CreateConsumer(ctx, stream, config)
	return checkConsumer(c, err, stream, config.Name)
}

func (a checkedAPI) UpdateConsumer(ctx context.Context, stream string, config js.ConsumerConfig) (js.Consumer, error) { //nolint:ireturn // as nats.go has it
	c, err := a.JetStream.UpdateConsumer(ctx, stream, config)
	return checkConsumer(c, err, stream, config.Name)
}

func checkStream(s js.Stream, err error, name string) (js.Stream, error) { //nolint:ireturn // as nats.go has it
	if err == nil && s.CachedInfo().Config.Name != name {
		return nil, foreignAPI(s.CachedInfo().Config.Name, name)
	}
	return s, err
}

func checkConsumer(c js.Consumer, err error, stream, name string) (js.Consumer, error) { //nolint:ireturn // as nats.go has it
	if err != nil {
		return nil, err
	}
	if info := c.CachedInfo(); info.Stream != stream || info.Name != name {
		return nil, foreignAPI(info.Stream+"/"+info.Name, stream+"/"+name)
	}
	return c, nil
}

func foreignAPI(got, asked string) error {
	return fmt.Errorf("the answer to a request about %q is about %q: find out who else subscribes to the subjects of JetStream's API: %w",
		asked, got, js.ErrInvalidJetStreamResponse)
}
