package eventtest

import (
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/transport/memory"
)

// Option is an option of [New].
type Option func(*options)

type options struct {
	broker memory.Option
	codec  codec.Codec
	wait   time.Duration
}

// NATSStreaming makes the broker behave like NATS Streaming. This is the default, as in
// client.Build.
func NATSStreaming() Option {
	return func(o *options) { o.broker = memory.NATSStreaming() }
}

// JetStream makes the broker behave like JetStream. memory.JetStream lists the differences.
func JetStream() Option {
	return func(o *options) { o.broker = memory.JetStream() }
}

// Codec sets the codec that the service's publishers and listeners use. The default is
// codec.JSON{}; nil means the default.
func Codec(c codec.Codec) Option {
	return func(o *options) {
		if c != nil {
			o.codec = c
		}
	}
}

// Wait sets how long [RequirePublished] waits for an event that is not published yet. The
// default is 2 s. With zero or less it does not wait.
func Wait(d time.Duration) Option {
	return func(o *options) { o.wait = d }
}
