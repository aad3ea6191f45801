package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/examples/ticketing/platform"
)

// connected is a member with a client of its own, which it has as long as it
// listens: that outlives what happens to the server.
type connected struct {
	member platform.Member // without a client
	server server
}

// Listen implements [listener.Runner].
func (m connected) Listen(ctx context.Context) (err error) {
	c, err := connect(ctx, m.server, m.member.Name)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the demo is over
		}
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	m.member.Client = c
	return m.member.Listen(ctx)
}

// server is where to connect to.
type server struct {
	clusterID, url string
	jetStream      bool
}

// connect makes a client, which waits for the server. The library's log, which
// would tell of each attempt, is left out.
func connect(ctx context.Context, s server, member string) (*client.Client, error) {
	opts := []client.Option{client.Logger(slog.New(slog.DiscardHandler))}
	if s.jetStream {
		opts = append(opts, client.JetStream()) // the one line that differs
	}
	return client.Build(ctx, s.clusterID, client.ID(member), s.url, opts...)
}
