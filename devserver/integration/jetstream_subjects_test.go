package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamManyAddSubjects: thirty clients that start together, each with a subject of its
// own, don't undo each other's. The list is complete when the last one is ready, whichever way
// they use their subjects.
func TestJetStreamManyAddSubjects(t *testing.T) {
	t.Parallel()
	const clients, rounds = 30, 20
	uses := map[string]func(context.Context, *client.Client, subjects.Subject) error{
		"Subjects": nil, // at Build
		"Publish": func(ctx context.Context, c *client.Client, subject subjects.Subject) error {
			p, err := publisher.NewRaw(c)
			if err != nil {
				return err
			}
			return p.Publish(ctx, publisher.Message{Subject: subject, Data: []byte("{}")})
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := startServer(t).server.URL()
			for round := range rounds {
				s := streamOn(t, url)
				want := []string{"dead.>"}
				var wg sync.WaitGroup
				built, errs := make([]*client.Client, clients), make([]error, clients)
				for i := range clients {
					subject := subjects.Subject(fmt.Sprintf("round%d.subject%d", round, i))
					want = append(want, string(subject))
					var opts []client.Option
					if use == nil {
						opts = append(opts, client.Subjects(subject))
					}
					wg.Go(func() {
						built[i], errs[i] = s.build(t, fmt.Sprintf("client-%d", i), []jetstream.Option{jetstream.MemoryStorage()}, opts...)
						if errs[i] == nil && use != nil {
							errs[i] = use(deadline(t), built[i], subject)
						}
					})
				}
				wg.Wait()
				for i, err := range errs {
					require.NoError(t, err, "client %d of round %d", i, round)
				}
				require.ElementsMatch(t, want, s.info(t).Config.Subjects)
				for _, c := range built {
					closeClient(t, c)
				}
				require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
			}
		})
	}
}
