//go:build node

package node_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

const (
	subject = subjects.TicketCreated
	group   = "orders-service"
)

// ticket is event n of a channel, counted from 1.
func ticket(n int) events.TicketCreated {
	return events.TicketCreated{ID: "t" + strconv.Itoa(n), Version: int64(n), Title: "concert", Price: float64(n) / 100, UserID: "u1"}
}

func tickets(first, last int) iter.Seq[events.TicketCreated] {
	return func(yield func(events.TicketCreated) bool) {
		for n := first; n <= last; n++ {
			if !yield(ticket(n)) {
				return
			}
		}
	}
}

func requests(all iter.Seq[events.TicketCreated]) []request {
	var lines []request
	for e := range all {
		lines = append(lines, request{Subject: subject, Data: e})
	}
	return lines
}

// handled is an event, and the service that handled it.
type handled struct {
	event       events.TicketCreated
	by          string
	redelivered bool
}

// service is a member of the queue group, in either language.
type service interface {
	leave(t *testing.T)
}

// join adds a member to the group.
type join func(t *testing.T, srv *devserver.Server, clientID string, got *collection[handled]) service

func joinGo(t *testing.T, srv *devserver.Server, clientID string, got *collection[handled]) service {
	t.Helper()
	return listenFromGo(t, srv, clientID, group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(handled{e, clientID, d.Redelivered})
		return nil
	})
}

func joinNode(t *testing.T, srv *devserver.Server, clientID string, got *collection[handled]) service {
	t.Helper()
	return listenFromNode(t, srv, clientID, handledBy(t, clientID, got), "--group", group, string(subject))
}

func handledBy(t *testing.T, clientID string, got *collection[handled]) func(arrival) {
	t.Helper()
	return func(a arrival) {
		var e events.TicketCreated
		assert.Empty(t, a.Problem)
		assert.NoError(t, json.Unmarshal(a.Data, &e))
		got.add(handled{e, clientID, a.Redelivered})
	}
}

// requireOnce requires that the events first to last, and none else, were handled
// once in all, and unchanged.
func requireOnce(t *testing.T, got []handled, first, last int) {
	t.Helper()
	slices.SortFunc(got, func(a, b handled) int { return cmp.Compare(a.event.Version, b.event.Version) })
	have := make([]events.TicketCreated, 0, len(got))
	for _, h := range got {
		have = append(have, h.event)
		assert.False(t, h.redelivered, "%s at %s", h.event.ID, h.by)
	}
	require.Equal(t, slices.Collect(tickets(first, last)), have)
}

// requireOneDurable requires that the services of both languages mean the same
// durable, which is there while nobody listens, and has come to the event last.
func requireOneDurable(t *testing.T, srv *devserver.Server, last int) {
	t.Helper()
	all := subscriptions(t, srv, subject)
	require.Len(t, all, 1)
	assert.True(t, all[0].Offline, "%+v", all[0])
	assert.True(t, all[0].Durable, "%+v", all[0])
	assert.Equal(t, group+":"+group, all[0].QueueName)
	assert.Equal(t, uint64(last), all[0].LastSent)
	assert.Zero(t, all[0].Pending)
}

// team is who is in the group at a time, by client ID.
type team map[string]join

// join adds the members in the order of their client IDs, and calls first when
// the first of them has joined.
func (m team) join(t *testing.T, srv *devserver.Server, got *collection[handled], first func()) []service {
	t.Helper()
	var joined []service
	for _, clientID := range slices.Sorted(maps.Keys(m)) {
		joined = append(joined, m[clientID](t, srv, clientID, got))
		if len(joined) == 1 {
			first()
		}
	}
	return joined
}

func leave(t *testing.T, all []service) {
	t.Helper()
	for _, m := range all {
		m.leave(t)
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	mixed := team{"1-go": joinGo, "2-node": joinNode, "3-go": joinGo, "4-node": joinNode}
	mixedAnew := team{"1-node": joinNode, "2-go": joinGo, "3-node": joinNode, "4-go": joinGo}
	onlyGo := team{"go-1": joinGo, "go-2": joinGo}
	onlyNode := team{"node-1": joinNode, "node-2": joinNode}
	for name, test := range map[string]struct{ begin, goOn team }{
		"both kinds, Node back first": {mixed, mixedAnew},
		"both kinds, Go back first":   {mixedAnew, mixed},
		"begun by Node, then Go":      {onlyNode, onlyGo},
		"begun by Go, then Node":      {onlyGo, onlyNode},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t)
			publisher := connect(t, srv, "go-publisher")
			// publish is half the work of a Go service and half that of a Node service.
			publish := func(first, last int) {
				half := (first + last) / 2
				require.Equal(t, half-first+1, publishFromNode(t, srv, nil, requests(tickets(first, half))...))
				publishFromGo(t, publisher, tickets(half+1, last))
			}
			// An event that was acknowledged in vain would come again one ack wait
			// later. Instead of waiting that long, the server is asked whether there
			// is one.
			settle := func(got *collection[handled], first, last int) {
				got.await(t, last-first+1)
				awaitSettled(t, srv, subject, uint64(last))
			}

			var before collection[handled]
			members := test.begin.join(t, srv, &before, func() {})
			publish(1, 400)
			settle(&before, 1, 400)
			leave(t, members)
			requireOnce(t, before.list(), 1, 400)
			requireShared(t, before.list(), test.begin)
			requireOneDurable(t, srv, 400)

			publish(401, 500) // while nobody listens
			var after collection[handled]
			// Who comes back first has all of those. The others join when it is done:
			// to a durable that joins while events flow, nats-streaming-server sends
			// some twice, since its performDurableRedelivery takes what was sent
			// since the subscription was initialized for what was left from before.
			members = test.goOn.join(t, srv, &after, func() { settle(&after, 401, 500) })
			publish(501, 600)
			settle(&after, 401, 600)
			leave(t, members)
			requireOnce(t, after.list(), 401, 600)
			requireShared(t, slices.DeleteFunc(after.list(), func(h handled) bool { return h.event.Version <= 500 }), test.goOn)
			requireOneDurable(t, srv, 600)
			require.Len(t, before.list(), 400, "handled after the group had left")
		})
	}
}

// requireShared requires that each member got some.
func requireShared(t *testing.T, got []handled, members team) {
	t.Helper()
	share := make(map[string]int)
	for _, h := range got {
		share[h.by]++
	}
	t.Logf("shares: %v", share)
	for clientID := range members {
		assert.Positive(t, share[clientID], "share of %s", clientID)
	}
}

// What one kind of member can't handle comes to the other.
func TestRefusedEventGoesToTheOtherKind(t *testing.T) {
	t.Parallel()
	const last = 20
	goAckWait, nodeAckWait := listener.AckWait(2*time.Second), []string{"--ack-wait", "2000", "--group", group, string(subject)}

	for name, members := range map[string]func(t *testing.T, srv *devserver.Server, refused, got *collection[handled]) []service{
		"refused by Node": func(t *testing.T, srv *devserver.Server, refused, got *collection[handled]) []service {
			t.Helper()
			return []service{
				listenFromNode(t, srv, "node-1", handledBy(t, "node-1", refused), append(nodeAckWait, "--refuse")...),
				listenFromGo(t, srv, "go-1", group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
					assert.Equal(t, d.Redelivered, d.Deliveries > 1, "%s: delivery %d", e.ID, d.Deliveries)
					got.add(handled{e, "go-1", d.Redelivered})
					return nil
				}, goAckWait),
			}
		},
		"refused by Go": func(t *testing.T, srv *devserver.Server, refused, got *collection[handled]) []service {
			t.Helper()
			return []service{
				listenFromGo(t, srv, "go-1", group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
					refused.add(handled{e, "go-1", d.Redelivered})
					return errors.New("not now")
				}, goAckWait),
				listenFromNode(t, srv, "node-1", handledBy(t, "node-1", got), nodeAckWait...),
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t)
			var refused, got collection[handled]
			joined := members(t, srv, &refused, &got)
			publishFromGo(t, connect(t, srv, "go-publisher"), tickets(1, last))
			got.await(t, last)
			awaitSettled(t, srv, subject, last)
			leave(t, joined)

			requireHandledByTheOther(t, refused.list(), got.list(), last)
		})
	}
}

// requireHandledByTheOther requires that the events 1 to last were handled once,
// and that those which were refused before, some at least, are marked redelivered.
func requireHandledByTheOther(t *testing.T, refused, got []handled, last int) {
	t.Helper()
	seen := make(map[string]bool)
	for _, h := range refused {
		seen[h.event.ID] = true
	}
	assert.NotEmpty(t, seen)
	for i, h := range got {
		assert.Equal(t, seen[h.event.ID], h.redelivered, "%s at %s", h.event.ID, h.by)
		got[i].redelivered = false
	}
	requireOnce(t, got, 1, last)
}
