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
// (default [DefaultClusterID]), NATS_CLIENT_ID and NATS_URL (default [DefaultURL]).
//
// Without NATS_CLIENT_ID, the client ID is [ID] of the program's name; when that
// is taken, since another process of the program runs on the host, a number is
// appended. A listener that is durable without a queue group refuses such an ID.
// NATS_TRANSPORT is streaming, the default, or jetstream, which is option
// [JetStream]; any other value matches [ErrInvalid]. It must not contradict an
// option [JetStream] or [Transport] among opts.
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
