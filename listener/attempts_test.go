package listener_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/memory"
)

// runsByProcess counts how often the handlers of each process ran on each event.
type runsByProcess struct {
	mu   sync.Mutex
	runs map[string]map[string]int // by event, then by process
	done map[string]bool
}

func (r *runsByProcess) begin(process, event string) (all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil {
		r.runs, r.done = make(map[string]map[string]int), make(map[string]bool)
	}
	if r.runs[event] == nil {
		r.runs[event] = make(map[string]int)
	}
	r.runs[event][process]++
	for _, n := range r.runs[event] {
		all += n
	}
	return all
}

func (r *runsByProcess) end(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[event] = true
}

func (r *runsByProcess) handled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.done)
}

// startProcess starts a member of the group with a client of its own.
func startProcess(t *testing.T, broker *memory.Broker, name string, h listener.Handler[expiration], opts ...listener.Option) (stop func()) {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", name, "nats://none", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	l, err := listener.New(c, "g", h, opts...)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(context.WithoutCancel(t.Context())) }()
	<-l.Ready()
	return func() {
		_ = c.Close(context.Background())
		if err := <-ended; err != nil {
			t.Log(err) // its handler hangs
		}
	}
}

func publishExpirations(t *testing.T, broker *memory.Broker, n int) {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", "publisher", "nats://none", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	for i := range n {
		publish(t, c, expiration{OrderID: fmt.Sprintf("o%d", i)})
	}
	require.NoError(t, c.Close(t.Context()))
}

// TestAttemptsOfSlowMembers: two members that have more events than they can begin within an
// ack wait. The server sends each again and again; it is given up only by a process whose
// handler has failed on it as often as it may.
func TestAttemptsOfSlowMembers(t *testing.T) {
	t.Parallel()
	const all, most = 32, 5
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		var r runsByProcess
		handler := func(process string) listener.Handler[expiration] {
			return func(_ context.Context, e expiration, _ listener.Delivery) error {
				first := r.begin(process, e.OrderID) == 1
				time.Sleep(1500 * time.Millisecond)
				if first || e.OrderID == "o31" {
					return errNotToday
				}
				r.end(e.OrderID)
				return nil
			}
		}
		publishExpirations(t, broker, all)
		// With a timeout no attempt is made that could last longer than the ack wait, so that never both members make their last one.
		opts := []listener.Option{listener.MaxAttempts(most), listener.Backoff(10*time.Millisecond, 10*time.Millisecond), listener.HandlerTimeout(2 * time.Second)}
		defer startProcess(t, broker, "a", handler("a"), opts...)()
		defer startProcess(t, broker, "b", handler("b"), opts...)()
		time.Sleep(30 * time.Minute)
		require.Equal(t, all-1, r.handled())
		letters := broker.Stored("dead.g.expiration:complete")
		require.Len(t, letters, 1)
		letter := decodeDeadLetter(t, letters[0].Data)
		require.Equal(t, events.DeadLetterExhausted, letter.Reason)
		require.Equal(t, most, letter.Attempts)
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Contains(t, []int{r.runs["o31"]["a"], r.runs["o31"]["b"]}, most)
		require.GreaterOrEqual(t, letter.Deliveries, 1)
	})
}

// TestAttemptsAfterAHangAndARestart, with all defaults: what waited for a handler that hung was
// sent many times, and nobody ran it.
func TestAttemptsAfterAHangAndARestart(t *testing.T) {
	t.Parallel()
	const all = 16
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, all)
		hangs, cancel := context.WithCancel(context.Background())
		stop := startProcess(t, broker, "first", func(context.Context, expiration, listener.Delivery) error {
			<-hangs.Done()
			return errNotToday
		}, listener.DrainTimeout(time.Second))
		time.Sleep(105 * time.Second)
		stop()
		cancel()
		var r runsByProcess
		defer startProcess(t, broker, "second", func(_ context.Context, e expiration, d listener.Delivery) error {
			if n := r.begin("second", e.OrderID); d.Attempt != n {
				t.Errorf("attempt %d of %s is told as %d", n, e.OrderID, d.Attempt)
			} else if n == 1 {
				return errNotToday
			}
			r.end(e.OrderID)
			return nil
		})()
		time.Sleep(5 * time.Minute)
		require.Equal(t, all, r.handled())
		require.Empty(t, broker.Stored("dead.g.expiration:complete"))
	})
}
