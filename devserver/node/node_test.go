//go:build node

package node_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// TestGoPublishesNodeListens: Node finds each event what it takes it for, and the
// payload what it would have written itself, to the byte.
func TestGoPublishesNodeListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, publishAll(w.context(), w.connect(), fromGo))
	args := []string{"--samples"}
	for _, s := range subjects.All() {
		args = append(args, s.String())
	}
	arrived := make(chan got, 1000)
	w.nodeMember("readers", arrived, args...)
	for range fromGo {
		w.next(arrived)
	}
}

// TestNodePublishesGoListens: each event is read as what it means.
func TestNodePublishesGoListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, len(fromNode), w.publish("", "--samples"))
	want := make(map[subjects.Subject][]events.Event)
	for _, e := range fromNode {
		want[e.Subject()] = append(want[e.Subject()], e)
	}
	read[events.TicketCreated](w, want)
	read[events.TicketUpdated](w, want)
	read[events.OrderCreated](w, want)
	read[events.OrderCancelled](w, want)
	read[events.ExpirationComplete](w, want)
	read[events.PaymentCreated](w, want)
	require.Empty(t, want)
}

// read listens to the events of one type and holds them against want, from which
// it takes them out.
func read[T events.Event](w *world, want map[subjects.Subject][]events.Event) {
	w.Helper()
	var zero T
	arrived := make(chan T, 1000)
	l, err := listener.New(w.connect(), "readers", func(_ context.Context, e T, _ listener.Delivery) error {
		arrived <- e
		return nil
	})
	require.NoError(w, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(ctx) }()
	for _, e := range want[zero.Subject()] {
		select {
		case got := <-arrived:
			require.Equal(w, e, events.Event(got))
		case <-time.After(patience):
			require.FailNow(w, "an event did not come", "%+v", e)
		}
	}
	stop()
	require.NoError(w, <-ended)
	delete(want, zero.Subject())
}

// TestMembersOfBothKindsShare: two of each in one durable group handle each event
// once; so do those that come back after all have left; and each kind goes on
// alone where the other stopped.
func TestMembersOfBothKindsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const group, subject = "orders-service", "expiration:complete"
	p, err := publisher.New[events.ExpirationComplete](w.connect())
	require.NoError(t, err)
	published := 0
	publish := func(n int) []string {
		ids := make([]string, n)
		for i := range ids {
			published++
			ids[i] = strconv.Itoa(published)
		}
		stored, err := p.PublishAll(w.context(), func(yield func(events.ExpirationComplete) bool) {
			for _, id := range ids {
				if !yield(events.ExpirationComplete{OrderID: id}) {
					return
				}
			}
		})
		require.NoError(t, err)
		require.Equal(t, n, stored)
		return ids
	}
	handled := make(chan got, 10_000)
	goJoins := func() member { return goMember[events.ExpirationComplete](w, group, handled) }
	nodeJoins := func() member { return w.nodeMember(group, handled, subject) }
	// expect takes what is handled until it is all of ids, each once, and counts by kind.
	expect := func(ids []string) map[string]int {
		kinds := make(map[string]int)
		var all []string
		for range ids {
			g := w.next(handled)
			var e events.ExpirationComplete
			require.NoError(t, json.Unmarshal(g.Data, &struct {
				OrderID *string `json:"orderId"`
			}{&e.OrderID}))
			all = append(all, e.OrderID)
			kinds[g.kind]++
		}
		slices.Sort(all)
		slices.Sort(ids)
		require.Equal(t, ids, all)
		return kinds
	}
	leave := func(members ...member) {
		for _, m := range members {
			m.leave()
		}
		require.Empty(t, handled, "more than was published")
	}

	members := []member{goJoins(), nodeJoins(), goJoins(), nodeJoins()}
	kinds := expect(publish(400))
	require.Positive(t, kinds["go"])
	require.Positive(t, kinds["node"])
	leave(members...)

	rest := publish(300)
	members = []member{nodeJoins(), goJoins()}
	expect(rest)
	leave(members...)

	for _, join := range []func() member{goJoins, nodeJoins, goJoins} {
		rest := publish(50)
		alone := join()
		expect(rest)
		leave(alone)
	}
}

// TestGoTakesOverFromNode: what a Node member does not acknowledge goes to the Go
// member after the ack wait, marked redelivered.
func TestGoTakesOverFromNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused, handled := make(chan got, 1000), make(chan got, 1000)
	node := w.nodeMember("g", refused, "--refuse", "--ack-wait", "1000", "expiration:complete")
	require.Equal(t, 3, w.publish(strings.Repeat(`{"subject":"expiration:complete","data":{"orderId":"o1"}}`+"\n", 3)))
	for range 3 {
		w.next(refused)
	}
	goMember[events.ExpirationComplete](w, "g", handled, listener.AckWait(time.Second))
	node.leave()
	for range 3 {
		w.next(handled)
	}
}

// TestBrokenPayloadsDoNotStopTheOthers, and stay unacknowledged.
func TestBrokenPayloadsDoNotStopTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 7, w.publish(strings.Join([]string{
		`{"subject":"expiration:complete","text":"null"}`,
		`{"subject":"expiration:complete","text":"not json"}`,
		`{"subject":"expiration:complete","text":"7"}`,
		`{"subject":"expiration:complete","bytes":"eyJvcmRlcklkIjoi/yJ9"}`, // {"orderId":"\xff"}
		`{"subject":"expiration:complete","data":{"orderId":"o1"}}`,
		`{"subject":"expiration:complete","data":{"orderId":7}}`,
		`{"subject":"expiration:complete","data":{"orderId":"o2"}}`,
	}, "\n")))
	handled := make(chan got, 1000)
	m := goMember[events.ExpirationComplete](w, "g", handled)
	require.Equal(t, uint64(5), w.next(handled).Sequence)
	require.Equal(t, uint64(7), w.next(handled).Sequence)
	m.leave()

	// Node, in the same group, gets what was left: nothing was acknowledged unhandled.
	left := make(chan got, 1000)
	w.nodeMember("g", left, "expiration:complete")
	var sequences []uint64
	for range 5 {
		select {
		case g := <-left:
			sequences = append(sequences, g.Sequence)
		case <-time.After(patience):
			require.FailNow(t, "an event did not come")
		}
	}
	slices.Sort(sequences)
	require.Equal(t, []uint64{1, 2, 3, 4, 6}, sequences)
}
