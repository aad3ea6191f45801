package versions_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener/internal/versions"
)

// TestLocks: one at a time has an entity; who waits gives up with its context, and
// leaves nothing behind that keeps others out.
func TestLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var locks versions.Locks
		ticket, other := versions.Entity{Store: 1, ID: "a"}, versions.Entity{Store: 2, ID: "a"}
		require.NoError(t, locks.Lock(t.Context(), ticket))
		require.NoError(t, locks.Lock(t.Context(), other))
		locks.Unlock(other)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := locks.Lock(ctx, ticket)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `another event of "a" is still being handled`)
		next := make(chan error)
		go func() { next <- locks.Lock(t.Context(), ticket) }()
		synctest.Wait()
		select {
		case err := <-next:
			t.Fatal("two have the entity", err)
		default:
		}
		locks.Unlock(ticket)
		require.NoError(t, <-next)
		locks.Unlock(ticket)
	})
}
