package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
)

// kinds collects what a watcher gets until it ends.
func kinds(events func(func(client.Event) bool)) []client.EventKind {
	var got []client.EventKind
	for e := range events {
		got = append(got, e.Kind)
	}
	return got
}

// TestWatch: any number of watchers get all that happens from their call on, in
// order and with the time of it, and end with the client.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c := on(t, conn)
		emit(conn, transport.AsyncError) // before anyone watches
		all := make(chan []client.Event, 100)
		for range cap(all) {
			events := c.Watch(t.Context())
			go func() {
				var got []client.Event
				for e := range events {
					got = append(got, e)
				}
				all <- got
			}()
		}
		started := time.Now()
		conn.Emit(transport.Event{Kind: transport.Disconnected, Err: io.EOF})
		time.Sleep(time.Second)
		conn.Emit(transport.Event{Kind: transport.Reconnected, Server: "nats://a:4222"})
		late := c.Watch(t.Context())
		access.Session(c).Degrade(t, "full", io.ErrShortWrite)
		access.Session(c).Degrade(t, "full", io.ErrShortWrite)
		access.Session(c).Recover(t, "full")
		time.Sleep(time.Second)
		require.NoError(t, c.Close(t.Context()))
		for range cap(all) {
			require.Equal(t, []client.Event{
				{Kind: client.EventDisconnected, Time: started, Err: io.EOF},
				{Kind: client.EventReconnected, Time: started.Add(time.Second), Server: "nats://a:4222"},
				{Kind: client.EventDegraded, Time: started.Add(time.Second), Reason: "full", Err: io.ErrShortWrite},
				{Kind: client.EventRecovered, Time: started.Add(time.Second), Reason: "full"},
				{Kind: client.EventClosed, Time: started.Add(2 * time.Second)},
			}, <-all)
		}
		require.Equal(t, []client.EventKind{client.EventDegraded, client.EventRecovered, client.EventClosed}, kinds(late))
		require.Empty(t, kinds(late), "it has ended")
		require.Empty(t, kinds(c.Watch(t.Context())), "nothing more happens")
	})
}

// TestWatchLosesTheOldest where the watcher is slow, which holds up nobody, and
// tells how many.
func TestWatchLosesTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c := on(t, conn)
		slow, fast := c.Watch(t.Context()), c.Watch(t.Context())
		quick := make(chan int)
		go func() {
			n := 0
			for e := range fast {
				n += 1 + e.Missed*1000
			}
			quick <- n
		}()
		for n := range 164 {
			conn.Emit(transport.Event{Kind: transport.AsyncError, Err: numbered(n)})
			synctest.Wait() // fast keeps up
		}
		var got []int
		for e := range slow {
			if e.Kind == client.EventClosed {
				require.Zero(t, e.Missed, "since it caught up")
				break
			}
			var n numbered
			require.ErrorAs(t, e.Err, &n)
			got = append(got, int(n))
			switch len(got) {
			case 1:
				require.Equal(t, 100, e.Missed)
			case 64:
				require.NoError(t, c.Close(t.Context()))
			default:
				require.Zero(t, e.Missed)
			}
		}
		require.Len(t, got, 64)
		require.Equal(t, 100, got[0])
		require.Equal(t, 163, got[63])
		require.Equal(t, 165, <-quick)
	})
}

type numbered int

func (numbered) Error() string { return "numbered" }

// TestWatchEnds with its context, with a break, and when the connection is lost for
// good, of which nobody tells but Done.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c := on(t, conn)
		ended := make(chan []client.EventKind)
		ctx, cancel := context.WithCancel(t.Context())
		watched := c.Watch(ctx)
		unused := c.Watch(ctx)
		go func() { ended <- kinds(watched) }()
		emit(conn, transport.LameDuck)
		synctest.Wait()
		cancel()
		require.Equal(t, []client.EventKind{client.EventLameDuck}, <-ended)
		require.Empty(t, kinds(unused), "what waits is not wanted any more")

		broken := c.Watch(t.Context())
		emit(conn, transport.LameDuck)
		emit(conn, transport.LameDuck)
		for range broken {
			break
		}
		require.Empty(t, kinds(broken))

		lost := errors.New("gave up")
		var end client.Event
		events := c.Watch(t.Context())
		go func() {
			for end = range events { //nolint:revive // the last one stays
			}
			ended <- nil
		}()
		synctest.Wait()
		conn.End(lost)
		<-ended
		require.Equal(t, client.EventClosed, end.Kind)
		require.Equal(t, lost, end.Err)
	})
}

// TestWatchTellsWhatWasRemoved, with its numbers; the log has them, too, and the remedy.
func TestWatchTellsWhatWasRemoved(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{}
	var log bytes.Buffer
	c, err := client.Build(t.Context(), "c", "id", "nats://x", client.Transport(conn.Dialer()), client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	events := c.Watch(t.Context())
	removed := client.Removed{Subject: "a", Group: "g", Durable: "d", First: 6, Last: 30, Count: 20, AtMost: true}
	conn.Emit(transport.Event{Kind: transport.MessagesRemoved, Removed: removed, Err: errors.New("raise the limit")})
	var e client.Event
	for e = range events {
		break
	}
	require.Equal(t, client.EventMessagesRemoved, e.Kind)
	require.Equal(t, removed, e.Removed)
	require.Equal(t, client.Connected, c.Status().State)
	require.Equal(t, "up to 20 events of a, sequences 6 to 30", e.Removed.String())
	require.NoError(t, c.Close(t.Context()))
	require.Contains(t, log.String(), "first=6 last=30 count=20 at_most=true error=\"raise the limit\"")
}
