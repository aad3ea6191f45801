package jetstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// told is what an owner was told.
type told struct {
	mu  sync.Mutex
	all []transport.Event
}

func (t *told) tell(e transport.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, e)
}

func (t *told) events() []transport.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

// waitingConn is a connection that is set up, and what it tells its owner.
func waitingConn() (*conn, *told) {
	owner := &told{}
	c := &conn{
		Life: lifecycle.New(), cfg: transport.Config{ClusterID: "events", URL: "nats://host"}, prefix: js.DefaultAPIPrefix,
		watch: natsconn.Watch{Notify: owner.tell},
	}
	c.Begin()
	return c, owner
}

func apiError(code js.ErrorCode) error {
	return fmt.Errorf("create stream: %w", &js.APIError{Code: 503, ErrorCode: code, Description: "no"})
}

// TestRequestWaitsForJetStream: what JetStream says while a cluster elects its leaders is not a
// refusal. The owner is told if that takes long, once for all calls.
func TestRequestWaitsForJetStream(t *testing.T) {
	t.Parallel()
	for _, code := range []js.ErrorCode{10004, 10007, 10008, 10009, 10118, 10119, 10194, 10195} {
		synctest.Test(t, func(t *testing.T) {
			c, owner := waitingConn()
			began, done := time.Now(), make(chan error, 2)
			for range 2 {
				go func() {
					_, err := request(t.Context(), c, func(context.Context) (int, error) {
						if time.Since(began) < time.Minute {
							return 0, apiError(code)
						}
						return 7, nil
					})
					done <- err
				}()
			}
			time.Sleep(toldAfter - time.Millisecond)
			require.Empty(t, owner.events())
			time.Sleep(2 * askAgain)
			require.Len(t, owner.events(), 1)
			require.Equal(t, transport.Degraded, owner.events()[0].Kind)
			require.ErrorContains(t, owner.events()[0].Err, "create stream")
			require.NoError(t, <-done)
			require.NoError(t, <-done)
			require.Len(t, owner.events(), 2)
			require.Equal(t, transport.Recovered, owner.events()[1].Kind)
			require.Equal(t, owner.events()[0].Reason, owner.events()[1].Reason)
			require.NoError(t, owner.events()[1].Err)
		})
	}
}

// TestRequestWaitsForJetStreamWithinItsContext: then the error is no refusal either.
func TestRequestWaitsForJetStreamWithinItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, owner := waitingConn()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := request(ctx, c, func(context.Context) (int, error) { return 0, apiError(10008) })
		err = c.explain(err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, transport.ErrNoCluster)
		require.NotErrorIs(t, err, transport.ErrRefused)
		require.ErrorContains(t, err, "JetStream is not available")
		require.Len(t, owner.events(), 2)
		require.Error(t, owner.events()[1].Err, "nobody waits any more, which is no recovery")
	})
}

// TestRequestWaitsWhereItMayHelp: an answer that may be about the moment is asked for again for a while.
func TestRequestWaitsWhereItMayHelp(t *testing.T) {
	t.Parallel()
	for _, answer := range []error{apiError(10023), nats.ErrNoResponders, js.ErrJetStreamNotEnabled} {
		synctest.Test(t, func(t *testing.T) {
			c, owner := waitingConn()
			began := time.Now()
			_, err := request(t.Context(), c, func(context.Context) (int, error) { return 0, answer })
			require.ErrorIs(t, err, answer)
			require.InDelta(t, requestWait, time.Since(began), float64(askAgain))
			require.Len(t, owner.events(), 2)
			began = time.Now()
			_, err = request(t.Context(), c, func(context.Context) (int, error) {
				if time.Since(began) < 3*time.Second {
					return 0, answer
				}
				return 0, nil
			})
			require.NoError(t, err)
		})
	}
}

// TestBuildIsNotRefusedByAnElection: an attempt of Build ends at once, to be made again.
func TestBuildIsNotRefusedByAnElection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, owner := waitingConn()
		c.Life = lifecycle.New() // which is not set up yet
		began := time.Now()
		_, err := request(t.Context(), c, func(context.Context) (int, error) { return 0, apiError(10008) })
		err = c.explain(err)
		require.Equal(t, began, time.Now())
		require.ErrorIs(t, err, transport.ErrNoCluster)
		require.NotErrorIs(t, err, transport.ErrRefused)
		require.False(t, transport.Permanent(err))
		require.ErrorContains(t, err, "is not available for stream \"events\"")
		require.Empty(t, owner.events())
	})
}
