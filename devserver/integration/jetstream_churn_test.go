package integration_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// numberOfEvents is how many events a test with many of them is to use: EVENTS, or so
// many.
func numberOfEvents(usually int) int {
	if asked, err := strconv.Atoi(os.Getenv("EVENTS")); err == nil {
		return asked
	}
	return usually
}

// withoutPings is for a test in which no connection is to be lost. On a machine that is
// so busy that the server answers no ping for 4 s, a client would connect anew.
func withoutPings() client.Option { return client.NATS(nats.PingInterval(time.Hour)) }

// eventually waits until is reports true, and reports whether it does within patience.
func eventually(is func() bool) bool {
	for over := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			return false
		}
	}
	return true
}

// TestJetStreamMembersComeAndGo: 50 members of a group join and leave at random
// while many events are handled (make test-churn makes it 20,000). Each is handled at
// least once. A second time it is handled only where a member's acknowledgement did not
// reach the server, and nothing here cuts a connection. A member with one handler at a
// time gets what was not delivered before in order.
//
// It keeps the processors busy, and so does not run beside the other tests.
func TestJetStreamMembersComeAndGo(t *testing.T) {
	const members, eachJoin = 50, 20 // events for each join, at most
	events := numberOfEvents(5000)
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)

	handled := make([]atomic.Int32, events+1)
	var distinct, runs, redelivered, joins atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	name := group()
	listeners := make([]*listener.Listener[note[tag]], members)
	for m := range listeners { // before any of them begins: those that come and go leave little to those that connect
		var err error
		listeners[m], err = listener.New(s.connect(t, subject, withoutPings()), name, func(_ context.Context, e note[tag], d listener.Delivery) error {
			runs.Add(1)
			if d.Redelivered {
				redelivered.Add(1)
			}
			if handled[e.N].Add(1) == 1 && distinct.Add(1) == int32(events) {
				stop()
			}
			return nil
		})
		require.NoError(t, err)
	}
	source, err := publisher.New[note[tag]](s.connect(t, subject, withoutPings()))
	require.NoError(t, err)

	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() }) // before the clients are closed
	for m, l := range listeners {
		random := rand.New(rand.NewPCG(seed, uint64(m)))
		wg.Go(func() {
			for ctx.Err() == nil {
				joins.Add(1)
				stays, leave := context.WithCancel(ctx)
				ended := make(chan error, 1)
				ready := l.Ready()
				go func() { ended <- l.Listen(stays) }()
				select { // joining may take a busy machine longer than a member stays
				case <-ready:
					select {
					case <-time.After(time.Duration(20+random.IntN(300)) * time.Millisecond):
					case <-ctx.Done():
					}
				case <-ctx.Done():
				}
				leave()
				assert.NoError(t, <-ended)
			}
		})
	}
	stored, err := source.PublishAll(t.Context(), func(yield func(note[tag]) bool) {
		for n := 1; n <= events && yield(note[tag]{N: n}); n++ {
			// A fast machine would handle all of them before anyone leaves.
			if n%eachJoin == 0 && !eventually(func() bool { return int(joins.Load()) >= n/eachJoin }) {
				return // no more members come, and the count below tells
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, events, stored)
	for before := int32(-1); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(patience):
			now := distinct.Load()
			if now == before {
				stop()
				assert.Fail(t, "nothing is handled any more", "%d of %d are", now, events)
			}
			before = now
		}
	}
	wg.Wait()
	t.Logf("%d events, %d runs, of those %d of events that had been delivered before; %d joins", distinct.Load(), runs.Load(), redelivered.Load(), joins.Load())
	require.Equal(t, int32(events), runs.Load(), "handled more than once")
}

// TestJetStreamOrder: with one handler at a time a member runs in order what it
// gets, however often it leaves and comes back.
func TestJetStreamOrder(t *testing.T) {
	t.Parallel()
	const events, stay = 2000, 40
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject, withoutPings())
	publish[tag](t, c, events)
	var last uint64
	var handled int
	leave := func() {}
	l, err := listener.New(c, group(), func(_ context.Context, _ note[tag], d listener.Delivery) error {
		if !d.Redelivered {
			if d.Sequence <= last {
				t.Errorf("%d after %d", d.Sequence, last)
			}
			last = d.Sequence
		}
		handled++
		if handled%stay == 0 {
			leave()
		}
		return nil
	})
	require.NoError(t, err)
	for joins := 1; handled < events; joins++ {
		before := handled
		var ctx context.Context
		ctx, leave = context.WithTimeout(t.Context(), patience)
		require.NoError(t, l.Listen(ctx))
		leave()
		require.Greater(t, handled, before, "join %d handled nothing", joins)
	}
}
