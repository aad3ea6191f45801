package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// proxied is a client of a stream of its own whose link to the server can be cut.
func proxied(t *testing.T, subject subjects.Subject, opts ...nats.Option) (*client.Client, *proxy.Proxy) {
	t.Helper()
	s := newStream(t)
	between, err := proxy.Start(strings.TrimPrefix(s.url, "nats://"))
	require.NoError(t, err)
	t.Cleanup(between.Close)
	c, err := client.Build(deadline(t), s.name, "test-"+rand.Text(), "nats://"+between.Addr(), quiet(), client.NATS(append(opts, nats.Name("proxied"))...),
		client.JetStream(jetstream.OnlySubjects(string(subject), "dead.*."+string(subject)), jetstream.MemoryStorage()))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c, between
}

// whileAway begins the calls of a client that need the server while away lasts, and expects
// all to succeed once back has been called.
func whileAway[Tag any](t *testing.T, c *client.Client, away, back func()) {
	t.Helper()
	// What the calls are about: a durable that nobody listens on, and a dead letter.
	subject, old, failing := note[Tag]{}.Subject(), group(), group()
	require.NoError(t, listen(t, c, old, into[Tag](newInbox())).end(t))
	refused := listen(t, c, failing, func(context.Context, note[Tag], listener.Delivery) error { return listener.Reject(errors.New("no")) })
	publish[Tag](t, c, 1)
	letters := newInbox()
	dead, err := listener.NewDeadLetters(c, "letters-"+failing, listener.DeadLettersOf{Group: failing, Subject: subject},
		func(context.Context, events.DeadLetter, listener.Delivery) error {
			letters.put(1, listener.Delivery{})
			return nil
		})
	require.NoError(t, err)
	reading, stop := context.WithCancel(t.Context())
	read := make(chan error, 1)
	go func() { read <- dead.Listen(reading) }()
	letters.next(t)
	stop()
	require.NoError(t, <-read)
	require.NoError(t, refused.end(t))

	deleted, err := listener.New(c, old, into[Tag](newInbox()))
	require.NoError(t, err)
	box := newInbox()
	begun, err := listener.New(c, group(), into[Tag](box))
	require.NoError(t, err)

	away()
	if c.Status().State == client.Reconnecting {
		brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err = deleted.DeleteDurable(brief)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, client.ErrConnectionLost)
		require.ErrorContains(t, err, "there is no connection to the NATS server")
		require.NotErrorIs(t, err, client.ErrNoCluster)
	}
	ended := make(chan error, 3)
	listening, stopListening := context.WithCancel(t.Context())
	defer stopListening()
	go func() { ended <- begun.Listen(listening) }()
	results := make(chan error, 2)
	go func() { results <- deleted.DeleteDurable(deadline(t)) }()
	go func() {
		got, err := deadletter.Redrive(deadline(t), c, failing, subject)
		if err == nil && got.Redriven != 1 {
			err = errors.New("no dead letter was redriven")
		}
		results <- err
	}()
	select {
	case err := <-ended:
		require.FailNow(t, "Listen did not wait for the link", "%v", err)
	case err := <-results:
		require.FailNow(t, "a call did not wait for the link", "%v", err)
	case <-time.After(500 * time.Millisecond):
	}
	back()
	require.NoError(t, <-results)
	require.NoError(t, <-results)
	box.next(t)
	stopListening()
	require.NoError(t, <-ended)
}

// TestJetStreamCallsWhileTheLinkIsDown wait for it within their context.
func TestJetStreamCallsWhileTheLinkIsDown(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	c, between := proxied(t, subject)
	whileAway[tag](t, c, func() {
		between.Refuse(true)
		between.Cut()
		require.Eventually(t, func() bool { return c.Status().State == client.Reconnecting }, patience, time.Millisecond)
	}, func() { between.Refuse(false) })
}

// TestJetStreamCallsOverALinkThatGoesSilent: what was asked over a link that turns out to be
// dead is asked again over the next.
func TestJetStreamCallsOverALinkThatGoesSilent(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	c, between := proxied(t, subject, nats.PingInterval(50*time.Millisecond), nats.MaxPingsOutstanding(1), nats.Timeout(100*time.Millisecond))
	whileAway[tag](t, c, func() { between.Stall(true) }, func() { between.Stall(false) })
}
