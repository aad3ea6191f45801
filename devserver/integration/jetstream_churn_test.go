package integration_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener"
)

// TestJetStreamMembersComeAndGo: 50 members of a group join and leave at random
// while 20,000 events are handled. Each is handled at least once. A second time it
// is handled only where a member's acknowledgement did not reach the server, and
// nothing here cuts a connection. A member with one handler at a time gets what
// was not delivered before in order.
func TestJetStreamMembersComeAndGo(t *testing.T) {
	t.Parallel()
	const members, events = 50, 20_000
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)

	var handled [events + 1]atomic.Int32
	var distinct, runs, redelivered, joins atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	name := group()
	for m := range members {
		random := rand.New(rand.NewPCG(seed, uint64(m)))
		c := s.connect(t, subject)
		l, err := listener.New(c, name, func(_ context.Context, e note[tag], d listener.Delivery) error {
			runs.Add(1)
			if d.Redelivered {
				redelivered.Add(1)
			}
			if handled[e.N].Add(1) == 1 && distinct.Add(1) == events {
				stop()
			}
			return nil
		})
		require.NoError(t, err)
		wg.Go(func() {
			for ctx.Err() == nil {
				joins.Add(1)
				stays, leave := context.WithTimeout(ctx, time.Duration(20+random.IntN(300))*time.Millisecond)
				assert.NoError(t, l.Listen(stays))
				leave()
			}
		})
	}
	publish[tag](t, s.connect(t, subject), events)
	select {
	case <-ctx.Done():
	case <-time.After(2 * patience):
		stop()
		assert.Fail(t, "not all were handled", "%d of %d", distinct.Load(), events)
	}
	wg.Wait()
	t.Logf("%d events, %d runs, of those %d of events that had been delivered before; %d joins", distinct.Load(), runs.Load(), redelivered.Load(), joins.Load())
	require.Equal(t, int32(events), runs.Load(), "handled more than once")
}

// TestJetStreamOrder: with one handler at a time a member runs in order what it
// gets, however often it leaves and comes back.
func TestJetStreamOrder(t *testing.T) {
	t.Parallel()
	const events = 2000
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)
	publish[tag](t, c, events)
	var last uint64
	var handled int
	done := make(chan struct{})
	l, err := listener.New(c, group(), func(_ context.Context, _ note[tag], d listener.Delivery) error {
		if !d.Redelivered {
			if d.Sequence <= last {
				t.Errorf("%d after %d", d.Sequence, last)
			}
			last = d.Sequence
		}
		handled++
		if handled == events {
			close(done)
		}
		return nil
	})
	require.NoError(t, err)
	for running := true; running; {
		ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
		require.NoError(t, l.Listen(ctx))
		leave()
		select {
		case <-done:
			running = false
		default:
		}
	}
}
