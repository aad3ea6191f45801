package natsconn

import (
	"errors"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestCuts: the wait grows while cuts come soon after each other, and is gone when a connection
// has lasted.
func TestCuts(t *testing.T) {
	t.Parallel()
	var c cuts
	now := time.Now()
	cutAfter := func(lasted time.Duration) time.Duration {
		c.connected(now)
		now = now.Add(lasted)
		c.cut(now)
		c.cut(now.Add(time.Hour)) // told twice
		wait := c.wait()
		require.Zero(t, c.wait(), "the further attempts are spaced out as always")
		return wait
	}
	require.Zero(t, cutAfter(time.Hour))
	require.Zero(t, cutAfter(time.Second))
	require.Zero(t, cutAfter(time.Second))
	for n := 1; n <= 12; n++ {
		wait := cutAfter(time.Second)
		require.GreaterOrEqual(t, wait, hold.Full(n)/2)
		require.LessOrEqual(t, wait, hold.Full(n))
	}
	require.Equal(t, hold.Max, hold.Full(12))
	require.Zero(t, cutAfter(brief))
	require.Zero(t, cutAfter(time.Second))
	require.Equal(t, 16, c.often, "they still come often")
	require.Zero(t, cutAfter(often))
	require.Zero(t, c.often)
}

// TestCutting: the owner is told with the remedy, once, and it is taken back when a connection has lasted.
func TestCutting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var all []transport.Event
		tell := func(e transport.Event) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
		}
		events := func() []transport.Event {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		reset := errors.New("connection reset by peer")
		var c cutting
		servers := []nats.Server{{URL: &url.URL{Host: "a"}}, {URL: &url.URL{Host: "b"}}}
		for n := range 2 * toldCuts {
			c.connected(tell)
			time.Sleep(time.Second)
			c.cut(tell, reset)
			server, wait := c.holdBack(servers, nats.ServerInfo{})
			if n < freeCuts {
				require.Nil(t, server)
				continue
			}
			require.Equal(t, &servers[(n-freeCuts+1)%2], server)
			require.Positive(t, wait)
			server, _ = c.holdBack(servers, nats.ServerInfo{})
			require.Nil(t, server, "nats.go chooses after that")
		}
		require.Len(t, events(), 1)
		told := events()
		require.Equal(t, transport.Degraded, told[0].Kind)
		require.Equal(t, reset, told[0].Err)
		for _, named := range []string{"Slow Consumer", "max_pending", "write_deadline", "MaxInFlight"} {
			require.Contains(t, told[0].Reason, named)
		}
		c.connected(tell)
		time.Sleep(often - time.Second)
		synctest.Wait()
		require.Len(t, events(), 1)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, events(), 2)
		require.Equal(t, transport.Event{Kind: transport.Recovered, Reason: told[0].Reason}, events()[1])
		c.recover(tell, transport.ErrClosed)
		require.Len(t, events(), 2)
	})
}

// TestCuttingEndsWithItsConnection: nobody reports the cuts any more then.
func TestCuttingEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	var told []transport.Event
	tell := func(e transport.Event) { told = append(told, e) }
	var c cutting
	for range toldCuts {
		c.connected(tell)
		c.cut(tell, nil)
	}
	c.connected(tell)
	c.recover(tell, transport.ErrClosed)
	require.Len(t, told, 2)
	require.ErrorIs(t, told[1].Err, transport.ErrClosed)
}

// TestHoldingBackIsTheLibrarysUnlessTheCallerSpacesOut reconnects otherwise.
func TestHoldingBackIsTheLibrarysUnlessTheCallerSpacesOut(t *testing.T) {
	t.Parallel()
	var w Watch
	o, err := buildOptions(w.Apply, nil)
	require.NoError(t, err)
	require.NotNil(t, o.ReconnectToServerCB)
	for _, own := range []nats.Option{nats.ReconnectWait(time.Millisecond), nats.CustomReconnectDelay(func(int) time.Duration { return 0 })} {
		o, err := buildOptions(w.Apply, []nats.Option{own})
		require.NoError(t, err)
		require.Nil(t, o.ReconnectToServerCB)
	}
	chosen := false
	o, err = buildOptions(w.Apply, []nats.Option{nats.ReconnectToServer(func([]nats.Server, nats.ServerInfo) (*nats.Server, time.Duration) {
		chosen = true
		return nil, 0
	})})
	require.NoError(t, err)
	o.ReconnectToServerCB(nil, nats.ServerInfo{})
	require.True(t, chosen)
}
