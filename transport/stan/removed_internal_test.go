package stan

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestRemovedIsToldTogether: losses that follow one another do not fill the log.
func TestRemovedIsToldTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []transport.Removed
		c := newConn(transport.Config{Notify: func(e transport.Event) {
			require.Equal(t, transport.MessagesRemoved, e.Kind)
			require.ErrorContains(t, e.Err, "-mm")
			told = append(told, e.Removed)
		}}, nil)
		s := &subscription{conn: c, config: transport.SubscribeConfig{Subject: "a"}}
		s.tellRemoved(loss{})
		for n := range uint64(100) { // for ten seconds
			s.tellRemoved(loss{10 * n, 10*n + 4, 5})
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		require.GreaterOrEqual(t, len(told), 10)
		require.LessOrEqual(t, len(told), 12)
		s.flushRemoved() // the end
		sum := uint64(0)
		for _, r := range told {
			sum += r.Count
		}
		require.Equal(t, uint64(500), sum)
		require.Equal(t, transport.Removed{Subject: "a", First: 0, Last: 4, Count: 5}, told[0], "the first is told at once")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		n := len(told)
		s.tellRemoved(loss{5000, 5000, 1})
		require.Len(t, told, n+1, "so is one after a while")
	})
}
