package eventtest

import (
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/transport/memory"
)

// Option is an option of [New].
type Option func(*options) error

type options struct {
	broker memory.Option
	codec  codec.Codec
	wait   time.Duration
}

// NATSStreaming makes the broker behave like NATS Streaming. This is the default, as in
// client.Build. Of this and [JetStream] the one that is given last counts.
func NATSStreaming() Option {
	return func(o *options) error {
		o.broker = memory.NATSStreaming()
		return nil
	}
}

// JetStream makes the broker behave like JetStream. memory.JetStream lists the differences.
func JetStream() Option {
	return func(o *options) error {
		o.broker = memory.JetStream()
		return nil
	}
}

// Codec sets the codec that the service's publishers and listeners use. The default is
// codec.JSON{}; nil means the default.
func Codec(c codec.Codec) Option {
	return func(o *options) error {
		if c != nil {
			o.codec = c
		}
		return nil
	}
}

// Wait sets how long [RequirePublished] waits for an event that is not published yet, and
// [RequireDeadLettered] for a dead letter. The default is 2 s. With zero or less they do not
// wait.
func Wait(d time.Duration) Option {
	return func(o *options) error {
		o.wait = d
		return nil
	}
}
