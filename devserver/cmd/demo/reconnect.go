package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// HAND-MADE: a client of NATS Streaming does not come back by itself yet when its
// connection is lost for good, which happens when the server is away for long, or
// comes back without its store. Once it does, only connect remains of this file.
//
// A server that is back soon, with its store, is another matter: the connection
// outlives that. One of JetStream outlives either.

// reconnecting is a member that gets a new client whenever its connection was
// lost for good.
type reconnecting struct {
	member platform.Member // without a client
	server server
	lost   func(member string) // is told
}

// Listen implements [listener.Runner].
func (r reconnecting) Listen(ctx context.Context) error {
	for {
		err := r.connected(ctx)
		if !errors.Is(err, listener.ErrConnectionLost) {
			return err
		}
		r.lost(r.member.Name)
	}
}

// connected is one life of the client.
func (r reconnecting) connected(ctx context.Context) (err error) {
	c, err := connect(ctx, r.server, r.member.Name)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the demo is over
		}
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	r.member.Client = c
	return r.member.Listen(ctx)
}

// server is where to connect to.
type server struct {
	clusterID, url string
	jetStream      bool
}

// connect gives a member a client of its own, which waits for the server. The
// library's log, which would tell of each attempt, is left out.
func connect(ctx context.Context, s server, member string) (*client.Client, error) {
	opts := []client.Option{client.Logger(slog.New(slog.DiscardHandler))}
	if s.jetStream {
		opts = append(opts, client.JetStream()) // the one line that differs
	}
	return client.Build(ctx, s.clusterID, client.ID(member), s.url, opts...)
}
