package memory

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// Option is an option of [New]. What is wrong with one is the error of each attempt to
// connect, and matches transport.ErrInvalid.
type Option func(*options) error

type options struct {
	features           transport.Features
	exclusiveClientIDs bool
	maxPayload         int
	maxDeliver         int
	defect             defect
}

var (
	natsStreaming = transport.Features{AckWaitUnit: time.Second}
	jetStream     = transport.Features{Headers: true, Nak: true, InProgress: true, Term: true, Deduplicate: true, Wildcards: true}
)

// NATSStreaming makes the broker behave like NATS Streaming. This is the default.
func NATSStreaming() Option {
	return func(o *options) error {
		o.features, o.exclusiveClientIDs = natsStreaming, true
		return nil
	}
}

// JetStream makes the broker behave like JetStream. It has headers, negative
// acknowledgement, an ack wait that can be extended, deduplication by message ID within
// two minutes, subscriptions to patterns of subjects, and client IDs that need not be
// unique.
//
// What the server refuses and the broker does not: another start position than the durable
// began with, which the broker ignores, and a pattern that the stream lacks, such as '>', since
// it has no stream. It counts the sequences of each subject, and of each pattern, by
// themselves, and keeps the spaces around a header's value.
func JetStream() Option {
	return func(o *options) error {
		o.features, o.exclusiveClientIDs = jetStream, false
		return nil
	}
}

// MaxPayload is the largest payload that the broker takes, in bytes. Default 1 MiB; at
// least 1.
func MaxPayload(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option MaxPayload: %d; must be at least 1", transport.ErrInvalid, n)
		}
		o.maxPayload = n
		return nil
	}
}
