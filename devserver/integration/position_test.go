package integration_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
)

// TestStartPositions starts a listener at each position of a channel that holds
// 1 to 5, and sends it 6.
func TestStartPositions(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	publish[tag](t, c, 3)

	box := newInbox()
	first := listen(t, c, group(), into[tag](box))
	box.take(t, 2)
	third := box.next(t).delivery.Timestamp
	require.NoError(t, first.end(t))
	// The server begins up to 2 s before the moment asked for.
	require.Eventually(t, func() bool { return time.Since(third) > 2500*time.Millisecond }, patience, 10*time.Millisecond)
	between := time.Now()
	publishFrom[tag](t, c, 4, 5)

	for _, test := range []struct {
		name  string
		start listener.Position
		want  []int
	}{
		{"all", listener.All, []int{1, 2, 3, 4, 5, 6}},
		{"sequence", listener.Sequence(2), []int{2, 3, 4, 5, 6}},
		{"since", listener.Since(between), []int{4, 5, 6}},
		{"ago, before the first", listener.Ago(time.Hour), []int{1, 2, 3, 4, 5, 6}},
		{"last received", listener.LastReceived, []int{5, 6}},
		{"new only", listener.NewOnly, []int{6}},
		{"since a time to come", listener.Since(between.Add(time.Hour)), []int{6}},
	} {
		box := newInbox()
		running := listen(t, c, group(), into[tag](box), listener.StartAt(test.start))
		seen := box.take(t, len(test.want)-1)
		t.Cleanup(func() {
			assert.Equal(t, test.want, append(seen, box.take(t, 1)...), test.name)
			assert.NoError(t, running.end(t), test.name)
		})
	}
	// "since" reaches back to between; Ago counts from when the listener begins.
	ago := newInbox()
	running := listen(t, c, group(), into[tag](ago), listener.StartAt(listener.Ago(time.Since(between))))
	require.Equal(t, []int{4, 5}, ago.take(t, 2))
	publishFrom[tag](t, c, 6, 6)
	require.Equal(t, []int{6}, ago.take(t, 1))
	require.NoError(t, running.end(t))
}

// TestStartAtOfKnownDurable: the server ignores it, and the log says so.
func TestStartAtOfKnownDurable(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	var log lockedBuffer
	c := connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	g, box := group(), newInbox()
	publish[tag](t, c, 4)
	l := listen(t, c, g, into[tag](box), listener.MaxInFlight(1))
	require.Equal(t, count(4), box.take(t, 4))
	require.NoError(t, l.end(t))
	require.NotContains(t, log.String(), "StartAt had no effect")

	publishFrom[tag](t, c, 5, 5)
	listen(t, c, g, into[tag](box), listener.StartAt(listener.Sequence(100)))
	require.Equal(t, 5, box.next(t).n)
	require.Contains(t, log.String(), "option StartAt had no effect")
	require.Contains(t, log.String(), "sequence 100")
}

// lockedBuffer is a buffer for a logger of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
