package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
)

// TestJetStreamForbiddenAcks: the event comes again, and is not handled again; the client says
// so, and that it is over.
func TestJetStreamForbiddenAcks(t *testing.T) {
	t.Parallel()
	type tag struct{}
	g := startGuarded(t, fresh[tag](t))
	c, admin, in := g.client(t), g.admin(t), newInbox()
	told := watch(t, c)
	listening := listen(t, c, group(), into[tag](in), listener.AckWait(time.Second))
	publish[tag](t, admin, 1)
	require.Equal(t, 1, in.next(t).n)

	g.allow(t, denied("$JS.ACK.>"), everything)
	publishFrom[tag](t, admin, 2, 5)
	e := told.degraded(t, "are refused, so that its events come again")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.Contains(t, e.Reason, `permission to publish to "$JS.ACK.>" is missing`)
	require.Equal(t, client.Degraded, c.Status().State)
	require.Equal(t, countFrom(2, 5), in.take(t, 4))
	g.allow(t, everything, everything)
	told.recovered(t, "are refused, so that its events come again")
	g.requireLines(t, 2, `reason="acknowledgements of `, "one line that it is so, and one that it is over")
	publishFrom[tag](t, admin, 6, 6)
	require.Equal(t, 6, in.next(t).n, "each event was handled once")
	require.NoError(t, listening.end(t))
	require.NotContains(t, g.log.String(), "permissions violation", "one line for each permission, not one for each message")
}

// TestJetStreamForbiddenPulls: nothing comes, and the client says so; as soon as it may, it asks.
func TestJetStreamForbiddenPulls(t *testing.T) {
	t.Parallel()
	type tag struct{}
	g := startGuarded(t, fresh[tag](t))
	g.allow(t, denied("$JS.API.CONSUMER.MSG.NEXT.>"), everything)
	c, in := g.client(t), newInbox()
	told := watch(t, c)
	listen(t, c, group(), into[tag](in))
	e := told.degraded(t, "can't be asked for them")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.Contains(t, e.Reason, `permission to publish to "$JS.API.CONSUMER.MSG.NEXT.ticketing.`)
	publish[tag](t, c, 1)
	require.Empty(t, in.arrived)
	g.allow(t, everything, everything)
	told.recovered(t, "can't be asked for them")
	require.Equal(t, 1, in.next(t).n)
	require.NotContains(t, g.log.String(), "permissions violation")
}

// TestJetStreamForbiddenInboxes: the server has ended subscriptions; they are made again when it
// may be.
func TestJetStreamForbiddenInboxes(t *testing.T) {
	t.Parallel()
	type tag struct{}
	g := startGuarded(t, fresh[tag](t))
	c, admin, in := g.client(t), g.admin(t), newInbox()
	told := watch(t, c)
	listen(t, c, group(), into[tag](in))
	g.allow(t, everything, denied("_INBOX.>"))
	e := told.degraded(t, "neither events nor answers")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.ErrorContains(t, e.Err, `grant it permission to subscribe to "_INBOX.>"`)
	publish[tag](t, admin, 1)
	require.Empty(t, in.arrived)
	g.allow(t, everything, everything)
	told.recovered(t, "neither events nor answers")
	require.Equal(t, 1, in.next(t).n)
	require.Eventually(t, func() bool { return c.Status().State == client.Connected }, patience, 10*time.Millisecond)
}

// TestJetStreamForbiddenDeadLetters: the reason names the permission.
func TestJetStreamForbiddenDeadLetters(t *testing.T) {
	t.Parallel()
	type tag struct{}
	g := startGuarded(t, fresh[tag](t))
	c := g.client(t)
	told := watch(t, c)
	g.allow(t, denied("dead.>"), everything)
	listen(t, c, group(), func(context.Context, note[tag], listener.Delivery) error {
		return listener.Reject(errors.New("no"))
	}, listener.AckWait(time.Second))
	publish[tag](t, c, 1)
	e := told.degraded(t, "can't be stored")
	require.ErrorIs(t, e.Err, client.ErrForbidden)
	require.ErrorContains(t, e.Err, `permission to publish to "dead.`)
	g.allow(t, everything, everything)
	told.recovered(t, "can't be stored")
}
