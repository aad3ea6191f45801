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
// Without NATS_CLIENT_ID and option [ClientID], the client ID is [ID] of the program's name. If that is taken,
// because another process of the program runs on the host, FromEnv appends a number. A
// listener that is durable without a queue group refuses a client ID that was made like that.
//
// NATS_TRANSPORT is streaming or jetstream; FromEnv refuses anything else with
// [ErrInvalid]. The variable decides, so that one program serves both brokers: with jetstream
// the options of [JetStream] hold, if opts have some, and with streaming they are left for
// the other broker. If the variable is not set, [JetStream] in opts decides. If opts hold
// [Transport], a value would have no effect, and is refused.
//
// One of these logs the client in: NATS_CREDS, the path of a credentials file (a JWT and its
// seed); NATS_USER with NATS_PASSWORD; NATS_TOKEN; or NATS_NKEY_SEED_FILE, the path of an
// nkey's seed. For TLS, NATS_CA is the path of the certificates of the authorities to trust
// instead of the system's, and NATS_CERT with NATS_KEY are the paths of the client's own
// certificate and key, all in PEM; each of them demands TLS of the server. The files are read
// again at each connect. FromEnv refuses with [ErrInvalid], naming the variable, a file that
// can't be read or used, two ways to log in, credentials in NATS_URL beside those, and what
// option [NATS] sets, too. With [Transport] in opts these variables are not read.
//
// A variable that is set but empty counts as not set.
func FromEnv(ctx context.Context, opts ...Option) (*Client, error) {
	url := cmp.Or(os.Getenv("NATS_URL"), DefaultURL)
	opts = append(slices.Clone(opts), transportFromEnv(os.Getenv("NATS_TRANSPORT")), credentialsFromEnv(os.Getenv, url))
	ids := generatedID(program())
	if id := os.Getenv("NATS_CLIENT_ID"); id != "" {
		ids = fixedID(id)
	}
	return build(ctx, cmp.Or(os.Getenv("NATS_CLUSTER_ID"), DefaultClusterID), ids, url, opts)
}

// ClientID is the client ID of a client that [FromEnv] makes, whatever NATS_CLIENT_ID says.
// It is for a process with several clients, which need IDs that differ; [ID] makes them. It
// must not be empty. [Build] refuses it, since the client ID is one of its arguments.
func ClientID(id string) Option { //nolint:revive // ID makes one; this is what NATS_CLIENT_ID and Client.ClientID call it
	return func(o *options) error {
		if id == "" {
			return fmt.Errorf("%w option ClientID: it is empty; leave it out for NATS_CLIENT_ID", transport.ErrInvalid)
		}
		o.clientID = id
		return nil
	}
}

// transportFromEnv returns the option for the value of NATS_TRANSPORT. It is given last.
func transportFromEnv(name string) Option {
	return func(o *options) error {
		switch {
		case name == "":
			return nil
		case name != "streaming" && name != "jetstream":
			return fmt.Errorf("%w NATS_TRANSPORT %q: use streaming or jetstream", transport.ErrInvalid, name)
		case o.transport != nil:
			return fmt.Errorf("%w NATS_TRANSPORT %q: it would have no effect, since option Transport names another transport; unset it", transport.ErrInvalid, name)
		}
		o.jetStream = name == "jetstream" // the options of JetStream stay for it
		return nil
	}
}
