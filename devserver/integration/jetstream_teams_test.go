package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamTwoTeams: beside a stream that has dead.> there is no room for the dead letters
// of another. Once that stream has the dead letters of its own subjects alone, there is, and
// the services of both teams work.
func TestJetStreamTwoTeams(t *testing.T) {
	t.Parallel()
	url := startServer(t).server.URL()
	platform, team := streamOn(t, url), streamOn(t, url)
	const theirs, own subjects.Subject = "ticket:created", "seat:assigned"
	memory := jetstream.MemoryStorage()

	one, err := platform.build(t, "orders", []jetstream.Option{memory}, client.Subjects(theirs))
	require.NoError(t, err)
	for _, opts := range [][]jetstream.Option{{memory}, {memory, jetstream.OnlySubjects(string(own), "dead.*."+string(own))}} {
		_, err = team.build(t, "seats", opts, client.Subjects(own))
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "stream \""+platform.name+"\" has subjects of dead.")
	}

	config := platform.info(t).Config
	config.Subjects = []string{string(theirs), "dead.*." + string(theirs)}
	_, err = platform.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
	two, err := team.build(t, "seats", []jetstream.Option{memory, jetstream.OnlySubjects(string(own), "dead.*."+string(own))})
	require.NoError(t, err)
	closeClient(t, one)
	one, err = platform.build(t, "orders", []jetstream.Option{memory}, client.Subjects(theirs)) // as it was, without OnlySubjects
	require.NoError(t, err)
	for _, c := range []struct {
		client  *client.Client
		subject subjects.Subject
		stream  *jetStream
	}{{one, theirs, platform}, {two, own, team}} {
		l, err := listener.NewRaw(c.client, c.subject, "group", func(context.Context, []byte, listener.Delivery) error {
			return listener.Reject(errors.New("it can't be handled"))
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(ctx) }()
		p, err := publisher.NewRaw(c.client)
		require.NoError(t, err)
		require.NoError(t, p.Publish(deadline(t), publisher.Message{Subject: c.subject, Data: []byte(`{}`)}))
		stream, err := c.stream.raw.Stream(deadline(t), c.stream.name)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := stream.GetLastMsgForSubject(t.Context(), "dead.group."+string(c.subject))
			return err == nil
		}, patience, 20*time.Millisecond)
		cancel()
		require.NoError(t, <-ended)
		closeClient(t, c.client)
	}
}
