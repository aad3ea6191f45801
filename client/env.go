package client

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/sgtickets/common/transport"
)

// What FromEnv takes for variables that are not set.
const (
	DefaultClusterID = "ticketing"
	DefaultURL       = "nats://localhost:4222"
)

// FromEnv is [Build] with its arguments from the environment: NATS_CLUSTER_ID
// (default [DefaultClusterID]), NATS_CLIENT_ID, NATS_URL (default [DefaultURL]) and
// NATS_TRANSPORT (default NATS Streaming).
//
// Without NATS_CLIENT_ID, the client ID is [ID] of the program's name; when that
// is taken, since another process of the program runs on the host, a number is
// appended. A listener that is durable without a queue group refuses such an ID.
//
// NATS_TRANSPORT is streaming, or jetstream, which stands for option [JetStream];
// anything else makes FromEnv fail with [ErrInvalid]. So does a value that would
// have no effect, since opts choose another transport: with [JetStream] among them
// it is jetstream or not set, with [Transport] it is not set.
//
// A variable that is set but empty counts as not set.
func FromEnv(ctx context.Context, opts ...Option) (*Client, error) {
	opts = append(slices.Clone(opts), transportFromEnv(os.Getenv("NATS_TRANSPORT")))
	ids := generatedID(program())
	if id := os.Getenv("NATS_CLIENT_ID"); id != "" {
		ids = fixedID(id)
	}
	return build(ctx, cmp.Or(os.Getenv("NATS_CLUSTER_ID"), DefaultClusterID), ids,
		cmp.Or(os.Getenv("NATS_URL"), DefaultURL), opts)
}

// transportFromEnv is the option, given last, that the variable's value stands for.
func transportFromEnv(name string) Option {
	return func(o *options) error {
		switch {
		case name == "":
			return nil
		case name != "streaming" && name != "jetstream":
			return fmt.Errorf("%w NATS_TRANSPORT %q: use streaming or jetstream", transport.ErrInvalid, name)
		case o.transport != nil, name == "streaming" && o.jetStream:
			return fmt.Errorf("%w NATS_TRANSPORT %q: it would have no effect, since the program's options name another transport; unset it", transport.ErrInvalid, name)
		case name == "jetstream":
			o.jetStream = true // which the program may have asked for, with options
		}
		return nil
	}
}
