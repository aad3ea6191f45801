package jetstream

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// TestRequestOverALinkThatGoes is asked again as soon as the link is back, however late
// nats.go says what becomes of the link.
func TestRequestOverALinkThatGoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(l *link)
		after  []func(l *link) // the request was sent, and its answer never comes
	}{
		"lost and back":               {func(*link) {}, []func(*link){(*link).onDisconnect, (*link).onReconnect}},
		"back, and its loss not told": {func(*link) {}, []func(*link){(*link).onReconnect}},
		"back, told late, and lost again": {(*link).onDisconnect, []func(*link){
			(*link).onReconnect, (*link).onDisconnect, (*link).onReconnect,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &conn{Life: lifecycle.New()}
				c.Begin()
				tc.before(&c.link)
				begun, asked := time.Now(), 0
				var links sync.WaitGroup
				links.Go(func() {
					for _, happens := range tc.after {
						time.Sleep(time.Millisecond)
						happens(&c.link)
					}
				})
				got, err := request(t.Context(), c, func(ctx context.Context) (int, error) {
					asked++
					if asked > 1 {
						return asked, nil
					}
					<-ctx.Done()
					return 0, ctx.Err()
				})
				require.NoError(t, err)
				require.Equal(t, 2, got)
				require.Less(t, time.Since(begun), 2*askAgain)
				links.Wait()
			})
		})
	}
}
