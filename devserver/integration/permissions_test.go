package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// degraded waits until the client is degraded for a reason that contains text, and returns
// what is told.
func (w watched) degraded(t *testing.T, text string) client.Event {
	t.Helper()
	return w.told(t, client.EventDegraded, text)
}

func (w watched) recovered(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, w.told(t, client.EventRecovered, text).Err)
}

func (w watched) told(t *testing.T, kind client.EventKind, text string) client.Event {
	t.Helper()
	for {
		if e, _ := w.until(t, kind); strings.Contains(e.Reason, text) {
			return e
		}
	}
}

var everything devserver.Permission

// TestForbiddenAcks: the event comes again, and is not handled again; the client says so, and
// that it is over.
func TestForbiddenAcks(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	g := startGuarded(t)
	c, admin, in := g.client(t), g.admin(t), newInbox()
	told, events := watch(t, c), group()
	listening := listen(t, c, events, into[tag](in), listener.AckWait(time.Second))
	publish[tag](t, admin, 1)
	require.Equal(t, 1, in.next(t).n)

	g.allow(t, denied("_INBOX.>"), everything)
	publishFrom[tag](t, admin, 2, 3)
	e := told.degraded(t, "acknowledgements of "+subject+" are refused")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.Contains(t, e.Reason, `permission to publish to "_INBOX.>" is missing`)
	require.Equal(t, client.Degraded, c.Status().State)
	require.Equal(t, []int{2, 3}, in.take(t, 2))
	g.allow(t, everything, everything)
	told.recovered(t, "acknowledgements of "+subject+" are refused")
	g.requireLines(t, 2, `reason="acknowledgements of `, "one line that it is so, and one that it is over")
	publishFrom[tag](t, admin, 4, 4)
	require.Equal(t, 4, in.next(t).n, "each event was handled once")
	require.NoError(t, listening.end(t))
	require.NotContains(t, g.log.String(), "permissions violation", "one line for each permission, not one for each message")
}

// TestForbiddenListen: Listen says which permission is missing, and the session stays.
func TestForbiddenListen(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := startGuarded(t)
	g.allow(t, denied("_STAN.sub.>"), everything)
	c := g.client(t)
	told := watch(t, c)
	l, err := listener.New(c, group(), into[tag](newInbox()))
	require.NoError(t, err)
	err = l.Listen(deadline(t))
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorContains(t, err, `grant it permission to publish to "_STAN.sub.`)
	require.NoError(t, c.Healthy(deadline(t)))
	require.Equal(t, client.Connected, c.Status().State)
	require.NotContains(t, g.log.String(), "new session")
	require.Empty(t, told.events)

	g.allow(t, everything, everything)
	in := newInbox()
	events := group()
	l, err = listener.New(c, events, into[tag](in))
	require.NoError(t, err)
	listening := begin(t, l)
	g.allow(t, denied("_STAN.unsub.>"), everything)
	require.NoError(t, listening.end(t))
	err = l.DeleteDurable(deadline(t))
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorContains(t, err, `"_STAN.unsub.`)
}

// TestForbiddenAfterReconnect: a listener that may not subscribe any more says so, and goes on
// by itself when it may.
func TestForbiddenAfterReconnect(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	user := devserver.User{Name: "service", Password: "secret"}
	s := startServer(t, devserver.StoreDir(t.TempDir()), devserver.Users(user))
	c, in := s.connect(t, client.NATS(nats.UserInfo("service", "secret"))), newInbox()
	told := watch(t, c)
	listen(t, c, group(), into[tag](in))
	publish[tag](t, c, 1)
	require.Equal(t, 1, in.next(t).n)

	user.Publish = denied("_STAN.sub.>")
	require.NoError(t, s.server.SetUsers(user))
	require.NoError(t, s.server.Restart())
	e := told.degraded(t, "no events of "+subject+" are received")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.ErrorContains(t, e.Err, `"_STAN.sub.`)
	publishFrom[tag](t, c, 2, 2)
	user.Publish = everything
	require.NoError(t, s.server.SetUsers(user))
	told.recovered(t, "no events of "+subject+" are received")
	require.Equal(t, 2, in.next(t).n)
}

// TestForbiddenInboxes: the server has ended subscriptions; they are made again when it may be.
func TestForbiddenInboxes(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	g := startGuarded(t)
	c, in := g.client(t), newInbox()
	told := watch(t, c)
	listen(t, c, group(), into[tag](in), listener.AckWait(time.Second))
	publish[tag](t, c, 1)
	require.Equal(t, 1, in.next(t).n)

	g.allow(t, everything, denied("_INBOX.>"))
	e := told.degraded(t, "no events of "+subject+" are received")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.ErrorContains(t, e.Err, `grant it permission to subscribe to "_INBOX.>"`)
	publishFrom[tag](t, c, 2, 2)
	require.Empty(t, in.arrived)
	g.allow(t, everything, everything)
	require.Equal(t, 2, in.next(t).n)
	for c.Status().State != client.Connected {
		told.until(t, client.EventRecovered)
	}
}

// TestForbiddenConfirmations: a client that only listens needs none; publishes are refused
// before they are sent, since their outcome could not be known.
func TestForbiddenConfirmations(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := startGuarded(t)
	g.allow(t, everything, denied("_STAN.acks.>"))
	c, admin, in := g.client(t), g.admin(t), newInbox()
	told := watch(t, c)
	listen(t, c, group(), into[tag](in))
	publish[tag](t, admin, 1)
	require.Equal(t, 1, in.next(t).n)
	require.Equal(t, client.Connected, c.Status().State)

	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	err = p.Publish(deadline(t), note[tag]{N: 2})
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, `subscribe to "_STAN.acks.>"`)
	told.degraded(t, "publishes are refused")
	g.allow(t, everything, everything)
	told.recovered(t, "publishes are refused")
	require.Eventually(t, func() bool { return p.Publish(deadline(t), note[tag]{N: 3}) == nil }, patience, 10*time.Millisecond)
	require.Equal(t, 3, in.next(t).n)
}

// TestForbiddenPings: the client can't find out whether the server knows it, and works.
func TestForbiddenPings(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := startGuarded(t)
	c := g.client(t)
	told := watch(t, c)
	g.allow(t, denied("_STAN.discover.ticketing.pings"), everything)
	told.degraded(t, "the streaming server can't be asked whether it knows the client")
	require.ErrorIs(t, c.Healthy(deadline(t)), client.ErrForbidden)
	publish[tag](t, c, 3)
	g.allow(t, everything, everything)
	told.recovered(t, "the streaming server can't be asked whether it knows the client")
	require.NoError(t, c.Healthy(deadline(t)))
}

// TestForbiddenDeadLetters: the reason names the permission.
func TestForbiddenDeadLetters(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := startGuarded(t)
	c := g.client(t)
	told := watch(t, c)
	g.allow(t, denied("_STAN.pub.ticketing.dead.>"), everything)
	listen(t, c, group(), func(context.Context, note[tag], listener.Delivery) error {
		return listener.Reject(errors.New("no"))
	}, listener.AckWait(time.Second))
	publish[tag](t, c, 1)
	e := told.degraded(t, "can't be stored")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.ErrorContains(t, e.Err, `permission to publish to "_STAN.pub.ticketing.dead.`)
	g.allow(t, everything, everything)
	told.recovered(t, "can't be stored")
}

// TestForbiddenIsNotTimedOut: what the server once refused explains nothing that comes later.
func TestForbiddenIsNotTimedOut(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	g.allow(t, denied("_STAN.other.>"), everything)
	first := g.client(t)
	_ = first
	_, err := client.Build(shortly(t), g.server.ClusterID(), "test", g.server.URL(), quiet(), client.NATS(nats.UserInfo("service", "secret")))
	require.ErrorIs(t, err, client.ErrClientIDTaken)
	require.NotErrorIs(t, err, client.ErrForbidden)
}

// TestForbiddenBuild: the log says what is missing, and Build succeeds when it is there.
func TestForbiddenBuild(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	g.allow(t, everything, denied("_INBOX.>"))
	go func() {
		for !strings.Contains(g.log.String(), "Permissions Violation for Subscription to ") {
			<-time.After(10 * time.Millisecond)
		}
		if err := g.server.SetUsers(devserver.User{Name: "service", Password: "secret"}); err != nil {
			t.Error(err)
		}
	}()
	g.client(t)
	require.Contains(t, g.log.String(), client.ErrForbidden.Error())
}

// TestForbiddenClose: what the server may not be told is named.
func TestForbiddenClose(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	c, err := client.Build(deadline(t), g.server.ClusterID(), "test", g.server.URL(), quiet(), client.NATS(nats.UserInfo("service", "secret")))
	require.NoError(t, err)
	g.allow(t, denied("_STAN.close.>"), everything)
	err = c.Close(deadline(t))
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorContains(t, err, `permission to publish to "_STAN.close.`)
}
