package listener_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener"
)

// TestGiveBackAtEnd: the next Listen gets the events at once that were given back for an
// hour, and with the option alone where the broker keeps them.
func TestGiveBackAtEnd(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]listener.Option{"with": {listener.GiveBackAtEnd()}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				const n = 3
				for range n {
					s.store("anything", nil, "x")
				}
				stop := s.raw("anything", "tools", func(context.Context, []byte, listener.Delivery) error {
					return listener.RetryAfter(time.Hour, nil)
				}, append(opts, listener.NoDeadLetters())...)
				synctest.Wait()
				stop()
				var got received
				stop = s.raw("anything", "tools", got.handle)
				synctest.Wait()
				if opts != nil || !s.gives() {
					require.Len(s, got.payloads(), n)
				} else {
					require.Empty(s, got.payloads())
				}
				stop()
				s.close()
			})
		})
	}
}
