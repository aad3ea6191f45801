package client

import (
	"fmt"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
)

// JetStreamOption is an option of [JetStream]. Package transport/jetstream has them:
// replicas, limits and subjects of the stream, and whether the client may change what exists.
type JetStreamOption = jetstream.Option

// JetStream makes the client use JetStream instead of NATS Streaming. The cluster
// ID is then the name of the stream. The client makes the stream if it is missing, with dead.>
// for dead letters and the subjects of the options [Subjects] and jetstream.Subjects. It adds
// the subject of each publisher and listener to the stream, before it is first used, and makes
// the consumers that are missing. Other settings of what exists it changes only if an option
// says so. With jetstream.FixedSubjects it adds no subject to a stream that exists, and with
// jetstream.BindOnly it makes and changes nothing.
//
// May be given several times, and adds up. Where NATS_TRANSPORT is streaming, [FromEnv] uses
// NATS Streaming all the same: the options are for when it is jetstream.
//
// Publishers, listeners and events stay as they are. The page docs/jetstream.md says what
// else changes.
func JetStream(opts ...JetStreamOption) Option {
	return func(o *options) error {
		for i, opt := range opts {
			if opt == nil {
				return fmt.Errorf("%w option JetStream: its option %d is nil; leave it out", transport.ErrInvalid, i+1)
			}
		}
		o.jetStream, o.jetStreamOptions = true, append(o.jetStreamOptions, opts...)
		return nil
	}
}
