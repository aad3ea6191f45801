package main

import (
	"context"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/subjects"
)

// server is where to connect to.
type server struct {
	clusterID, url string
	jetStream      bool
}

// connected is a member with a client of its own, which is made when it begins. It
// outlives whatever happens to the server.
type connected struct {
	member platform.Member // without a client
	server server
}

// Listen implements [client.Runner].
func (m connected) Listen(ctx context.Context) error {
	opts := []client.Option{client.Logger(slog.New(slog.DiscardHandler))} // it would tell of each attempt
	if m.server.jetStream {
		// The one line that differs. The subjects are asked for, since the server has a race where one
		// is added while a consumer is made (nats-server 2.15.2: ConsumerStore and UpdateConfig).
		opts = append(opts, client.JetStream(), client.Subjects(subjects.All()...))
	}
	c, err := client.Build(ctx, m.server.clusterID, client.ID(m.member.Name), m.server.url, opts...)
	switch {
	case err == nil:
		m.member.Client = c
		err = client.Run(ctx, c, m.member)
	case ctx.Err() != nil:
		err = nil // the demo is over
	}
	return err
}
