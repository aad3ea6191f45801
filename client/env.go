package client

import (
	"cmp"
	"context"
	"os"
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
// A variable that is set but empty counts as not set.
func FromEnv(ctx context.Context, opts ...Option) (*Client, error) {
	ids := generatedID(program())
	if id := os.Getenv("NATS_CLIENT_ID"); id != "" {
		ids = fixedID(id)
	}
	return build(ctx, cmp.Or(os.Getenv("NATS_CLUSTER_ID"), DefaultClusterID), ids,
		cmp.Or(os.Getenv("NATS_URL"), DefaultURL), opts)
}
