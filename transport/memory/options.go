package memory

import (
	"time"

	"github.com/sgtickets/common/transport"
)

// Option is an option of [New].
type Option func(*options)

type options struct {
	features           transport.Features
	exclusiveClientIDs bool
	maxPayload         int
	defect             defect
}

var (
	natsStreaming = transport.Features{AckWaitUnit: time.Second}
	jetStream     = transport.Features{Headers: true, Nak: true, InProgress: true, Term: true, Deduplicate: true, Wildcards: true}
)

// NATSStreaming makes the broker behave like NATS Streaming. This is the default.
func NATSStreaming() Option {
	return func(o *options) { o.features, o.exclusiveClientIDs = natsStreaming, true }
}

// JetStream makes the broker behave like JetStream. It has headers, negative
// acknowledgement, an ack wait that can be extended, deduplication by message ID within
// two minutes, subscriptions to patterns of subjects, and client IDs that need not be
// unique.
func JetStream() Option {
	return func(o *options) { o.features, o.exclusiveClientIDs = jetStream, false }
}

// MaxPayload is the largest payload that the broker takes, in bytes. Default 1 MiB.
func MaxPayload(n int) Option {
	return func(o *options) { o.maxPayload = n }
}
