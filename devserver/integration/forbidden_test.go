package integration_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// guarded is a server whose user has permissions that change.
type guarded struct {
	ownServer

	log    *lockedBuffer
	stream []client.Option // connect over JetStream; none: over NATS Streaming
}

// startGuarded starts one. With subjects, its clients use JetStream, and a stream of those.
func startGuarded(t *testing.T, stream ...subjects.Subject) guarded {
	t.Helper()
	g := guarded{
		ownServer: startServer(t, devserver.Credentials("admin", "all"), devserver.Users(devserver.User{Name: "service", Password: "secret"})),
		log:       &lockedBuffer{},
	}
	if len(stream) > 0 {
		all := []string{"dead.>"}
		for _, subject := range stream {
			all = append(all, string(subject))
		}
		g.stream = []client.Option{client.JetStream(jetstream.OnlySubjects(all...), jetstream.MemoryStorage())}
	}
	return g
}

// allow gives the user these permissions from now on.
func (g guarded) allow(t *testing.T, publish, subscribe devserver.Permission) {
	t.Helper()
	require.NoError(t, g.server.SetUsers(devserver.User{Name: "service", Password: "secret", Publish: publish, Subscribe: subscribe}))
}

func denied(subjects ...string) devserver.Permission { return devserver.Permission{Deny: subjects} }

// client is the user's, and admin one that may do everything.
func (g guarded) client(t *testing.T) *client.Client {
	t.Helper()
	return g.connect(t, append(g.stream, client.NATS(nats.UserInfo("service", "secret")), client.Logger(slog.New(slog.NewTextHandler(g.log, nil))))...)
}

func (g guarded) admin(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), g.server.ClusterID(), "admin", g.server.URL(), append(g.stream, quiet(), client.NATS(nats.UserInfo("admin", "all")))...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func (g guarded) lines(part string) (n int) {
	for line := range strings.Lines(g.log.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// requireLines waits until the log has that many lines with part: what is told is logged a
// moment later.
func (g guarded) requireLines(t *testing.T, want int, part, why string) {
	t.Helper()
	require.Eventually(t, func() bool { return g.lines(part) >= want }, patience, 10*time.Millisecond, why)
	require.Equal(t, want, g.lines(part), "%s: %v", why, g.log)
}

// pubSubject is where the server takes an event.
func (g guarded) pubSubject(subject subjects.Subject) string {
	if len(g.stream) > 0 {
		return string(subject)
	}
	return "_STAN.pub.ticketing." + string(subject)
}

// TestForbiddenPublish: publishes that are forbidden are refused at once, and no other.
func TestForbiddenPublish(t *testing.T) {
	t.Parallel()
	type tag struct{}
	type other struct{}
	subject := fresh[tag](t)
	fresh[other](t)
	testForbiddenPublish[tag, other](t, startGuarded(t), subject)
}

func TestJetStreamForbiddenPublish(t *testing.T) {
	t.Parallel()
	type tag struct{}
	type other struct{}
	subject := fresh[tag](t)
	testForbiddenPublish[tag, other](t, startGuarded(t, subject, fresh[other](t)), subject)
}

func testForbiddenPublish[tag, other any](t *testing.T, g guarded, subject subjects.Subject) {
	t.Helper()
	c := g.client(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1}))

	g.allow(t, denied(g.pubSubject(subject)), devserver.Permission{})
	began := time.Now()
	for range 3 {
		err = p.Publish(deadline(t), note[tag]{N: 2})
		require.ErrorIs(t, err, client.ErrForbidden)
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorContains(t, err, `grant it permission to publish to "`+g.pubSubject(subject)+`"`)
	}
	require.Less(t, time.Since(began), 10*time.Second, "the Timeout is 30 s")
	publish[other](t, c, 10)
	stored, err := p.PublishAll(deadline(t), func(yield func(note[tag]) bool) {
		for i := range 500 {
			if !yield(note[tag]{N: i}) {
				return
			}
		}
	})
	require.Zero(t, stored)
	require.ErrorIs(t, err, client.ErrForbidden)
	line := "publish to \\\"" + g.pubSubject(subject) + "\\\": grant"
	g.requireLines(t, 1, line, "one line for all")
	require.Equal(t, client.Connected, c.Status().State)

	g.allow(t, devserver.Permission{}, devserver.Permission{})
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 3}))
	g.allow(t, denied(g.pubSubject(subject)), devserver.Permission{})
	require.ErrorIs(t, p.Publish(deadline(t), note[tag]{N: 4}), client.ErrForbidden)
	g.requireLines(t, 2, line, "once more, since it was allowed in between")
}

// TestForbiddenPublishesInFlight: whatever is in flight when permissions change, what was
// refused is not stored, and the rest is.
func TestForbiddenPublishesInFlight(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	testForbiddenPublishesInFlight[tag](t, startGuarded(t), subject)
}

func TestJetStreamForbiddenPublishesInFlight(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	testForbiddenPublishesInFlight[tag](t, startGuarded(t, subject), subject)
}

func testForbiddenPublishesInFlight[tag any](t *testing.T, g guarded, subject subjects.Subject) {
	t.Helper()
	c := g.client(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)

	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range 40 {
			forbidden := devserver.Permission{}
			if i%2 == 0 {
				forbidden = denied(g.pubSubject(subject))
			}
			if err := g.server.SetUsers(devserver.User{Name: "service", Password: "secret", Publish: forbidden}); err != nil {
				t.Error(err)
			}
			<-time.After(20 * time.Millisecond)
		}
	}()
	want := map[int]bool{}
	var pending []*publisher.Pending
	for n, going := 1, true; going; n++ {
		select {
		case <-over:
			going = false
		default:
		}
		one, err := p.PublishAsync(deadline(t), note[tag]{N: n})
		require.NoError(t, err)
		pending = append(pending, one)
	}
	refused := 0
	for i, one := range pending {
		err := one.Wait(deadline(t))
		if err == nil {
			want[i+1] = true
			continue
		}
		require.ErrorIs(t, err, client.ErrForbidden)
		require.ErrorIs(t, err, publisher.ErrNotStored)
		refused++
	}
	t.Logf("%d publishes, %d refused", len(pending), refused)
	require.NotEmpty(t, want)
	require.NotZero(t, refused)
	in, got := newInbox(), map[int]bool{}
	end := listen(t, g.admin(t), "", into[tag](in), listener.StartAt(listener.All), listener.MaxInFlight(1000))
	for range want {
		got[in.next(t).n] = true
	}
	require.Equal(t, want, got)
	require.NoError(t, end.end(t))
	require.Empty(t, in.arrived, "nothing else is stored")
}
