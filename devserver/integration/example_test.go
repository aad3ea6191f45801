package integration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/memory"
)

type silent struct{}

func (silent) Published(platform.Member, events.Event)                  {}
func (silent) Handled(platform.Member, events.Event, listener.Delivery) {}

// TestExampleOnEveryTransport: the services of examples/ticketing, two members
// each, play their story to its end. What differs is one option.
func TestExampleOnEveryTransport(t *testing.T) {
	t.Parallel()
	for name, transport := range map[string]func(*testing.T) (url string, option []client.Option){
		"NATS Streaming": func(t *testing.T) (string, []client.Option) {
			t.Helper()
			return startServer(t).server.URL(), nil
		},
		"JetStream": func(t *testing.T) (string, []client.Option) {
			t.Helper()
			// In a file, the server (2.15.2) has a race of its own where a subject is added while a consumer is made.
			return startServer(t).server.URL(), []client.Option{client.JetStream(inMemory...)}
		},
		"memory": func(*testing.T) (string, []client.Option) {
			return "nats://none", []client.Option{client.Transport(memory.New().Dialer())}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, option := transport(t)
			p := platform.New(time.Second)
			var members []listener.Runner
			for i, s := range p.Services() {
				for n := range 2 {
					id := fmt.Sprintf("member-%d-%d", i, n)
					c, err := client.Build(deadline(t), "ticketing", id, url, append([]client.Option{quiet()}, option...)...)
					require.NoError(t, err)
					t.Cleanup(func() { closeClient(t, c) })
					members = append(members, platform.Member{Service: s, Name: id, Client: c, Journal: silent{}})
				}
			}
			ctx, end := context.WithCancel(t.Context())
			defer end()
			ended := make(chan error, 1)
			go func() { ended <- listener.Run(ctx, members...) }()
			require.NoError(t, p.Story(deadline(t), "open air", func(string) {}))
			end()
			require.NoError(t, <-ended)
		})
	}
}
