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
// Without NATS_CLIENT_ID, the client ID is [ID] of the program's name. If that is taken,
// because another process of the program runs on the host, FromEnv appends a number. A
// listener that is durable without a queue group refuses a client ID that was made like that.
//
// NATS_TRANSPORT is streaming, or jetstream, which stands for option [JetStream]; FromEnv
// refuses anything else with [ErrInvalid]. It also refuses a value that would have no effect:
// if opts hold [JetStream], the variable is jetstream or not set, and if they hold
// [Transport], it is not set.
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

// transportFromEnv returns the option for the value of NATS_TRANSPORT. It is given last.
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
			o.jetStream = true // the program may have asked for it, too, with options
		}
		return nil
	}
}
