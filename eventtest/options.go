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

// NATSStreaming makes the broker behave like NATS Streaming. The default, as it
// is that of client.Build.
func NATSStreaming() Option {
	return func(o *options) { o.broker = memory.NATSStreaming() }
}

// JetStream makes the broker behave like JetStream; memory.JetStream says in what
// it differs.
func JetStream() Option {
	return func(o *options) { o.broker = memory.JetStream() }
}

// Codec is the codec of the service's publishers and listeners. Default
// codec.JSON{}; nil means the default.
func Codec(c codec.Codec) Option {
	return func(o *options) {
		if c != nil {
			o.codec = c
		}
	}
}

// Wait is how long [RequirePublished] waits for an event that is not published
// yet. Default 2 s; zero or less for not at all.
func Wait(d time.Duration) Option {
	return func(o *options) { o.wait = d }
}
