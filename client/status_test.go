package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
)

// on returns a client on conn, to be closed by the test.
func on(t *testing.T, conn *fakeconn.Conn, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://user:secret@x",
		append([]client.Option{quiet(), client.Transport(conn.Dialer())}, opts...)...)
	require.NoError(t, err)
	return c
}

func emit(conn *fakeconn.Conn, kind transport.EventKind) { conn.Emit(transport.Event{Kind: kind}) }

// TestStatusFollowsWhatHappens, second by second.
func TestStatusFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c := on(t, conn)
		started := time.Now()
		at := func(second int) time.Time { return started.Add(time.Duration(second) * time.Second) }
		full := errors.New("too many unsettled events")
		gone := errors.New("it was deleted")
		steps := []struct {
			happens func()
			want    client.Status
		}{
			{func() {}, client.Status{State: client.Connected, Since: at(0)}},
			{
				func() { conn.Emit(transport.Event{Kind: transport.Disconnected, Err: io.EOF}) },
				client.Status{State: client.Reconnecting, Since: at(1), Err: io.EOF},
			},
			{func() { emit(conn, transport.AsyncError) }, client.Status{State: client.Reconnecting, Since: at(1), Err: io.EOF}},
			{func() { emit(conn, transport.Reconnected) }, client.Status{State: client.Connected, Since: at(3)}},
			{func() { access.Session(c).Degrade(t, "full", nil) }, client.Status{
				State: client.Degraded, Since: at(4),
				Reasons: []client.Reason{{Text: "full", Since: at(4)}},
			}},
			{func() { conn.Emit(transport.Event{Kind: transport.Degraded, Reason: "no consumer", Err: gone}) }, client.Status{
				State: client.Degraded, Since: at(4),
				Reasons: []client.Reason{{Text: "full", Since: at(4)}, {Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{func() { access.Session(c).Degrade(t, "full", full) }, client.Status{
				State: client.Degraded, Since: at(4),
				Reasons: []client.Reason{{Text: "full", Err: full, Since: at(4)}, {Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{func() { emit(conn, transport.Disconnected) }, client.Status{
				State: client.Reconnecting, Since: at(7),
				Reasons: []client.Reason{{Text: "full", Err: full, Since: at(4)}, {Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{func() { access.Session(c).Recover(t, "full") }, client.Status{
				State: client.Reconnecting, Since: at(7),
				Reasons: []client.Reason{{Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{func() { emit(conn, transport.SessionReplaced) }, client.Status{
				State: client.Degraded, Since: at(9),
				Reasons: []client.Reason{{Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{func() { access.Session(c).Recover(t, "what nobody said") }, client.Status{
				State: client.Degraded, Since: at(9),
				Reasons: []client.Reason{{Text: "no consumer", Err: gone, Since: at(5)}},
			}},
			{
				func() { conn.Emit(transport.Event{Kind: transport.Recovered, Reason: "no consumer"}) },
				client.Status{State: client.Connected, Since: at(11), Reasons: []client.Reason{}},
			},
			{
				func() { require.NoError(t, c.Close(t.Context())) },
				client.Status{State: client.Closed, Since: at(12), Err: client.ErrClosed},
			},
			{func() { emit(conn, transport.Reconnected) }, client.Status{State: client.Closed, Since: at(12), Err: client.ErrClosed}},
		}
		for second, step := range steps {
			step.happens()
			require.Equal(t, step.want, c.Status(), "second %d", second)
			time.Sleep(time.Second)
		}
	})
}

// TestWhatHasEndedDoesNotRecover: the status takes the reason back, and the log does not claim
// that it is over.
func TestWhatHasEndedDoesNotRecover(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := on(t, &fakeconn.Conn{}, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	s := access.Session(c)
	s.Degrade(1, "dead letters can't be stored", errors.New("no"))
	s.Withdraw(1, "dead letters can't be stored")
	require.Equal(t, client.Connected, c.Status().State)
	require.Contains(t, log.String(), `msg="no longer degraded" client=orders-1 reason="dead letters can't be stored" error="what reported it has ended"`)
	require.NotContains(t, log.String(), "recovered")
	s.Degrade(1, "stuck", errors.New("no"))
	s.Recover(1, "stuck")
	require.Contains(t, log.String(), "msg=recovered client=orders-1 reason=stuck")
	require.NoError(t, c.Close(t.Context()))
}

// TestReasonOfTwo: a reason that two listeners give holds until both have taken it back, with
// the error of one whom it holds of.
func TestReasonOfTwo(t *testing.T) {
	t.Parallel()
	c := on(t, &fakeconn.Conn{})
	s, one, two := access.Session(c), errors.New("of one"), errors.New("of two")
	s.Degrade(1, "stuck", one)
	s.Degrade(2, "stuck", two)
	s.Recover(2, "stuck")
	require.Len(t, c.Status().Reasons, 1)
	require.Equal(t, one, c.Status().Reasons[0].Err)
	s.Recover(1, "stuck")
	require.Equal(t, client.Connected, c.Status().State)
	require.NoError(t, c.Close(t.Context()))
}

// TestStatusOfAConnectionThatIsLostForGood is Closed as soon as Done is. Why stands
// in the log already: the transport has said so.
func TestStatusOfAConnectionThatIsLostForGood(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	conn := &fakeconn.Conn{}
	c := on(t, conn, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	log.Reset()
	lost := errors.Join(transport.ErrConnectionLost, io.EOF)
	conn.End(lost)
	<-c.Done()
	require.Equal(t, client.Closed, c.Status().State)
	require.Equal(t, lost, c.Status().Err)
	require.Empty(t, log.String())
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, lost, c.Status().Err)
}

// TestStatusOfTheAttemptThatSucceeded: what a failed one tells, even afterwards, says
// nothing of it.
func TestStatusOfTheAttemptThatSucceeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first func(transport.Event)
		conn := (&fakeconn.Conn{}).Dialer()
		c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", quiet(),
			client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
				if first == nil {
					first = cfg.Notify
					first(transport.Event{Kind: transport.Disconnected})
					return nil, transport.ErrNoServer
				}
				time.Sleep(time.Second)
				return conn(ctx, cfg)
			}))
		require.NoError(t, err)
		first(transport.Event{Kind: transport.Disconnected})
		require.Equal(t, client.Status{State: client.Connected, Since: time.Now()}, c.Status())
		require.NoError(t, c.Close(t.Context()))
	})
}

// TestLifecycleIsLoggedOnce, with the client's ID, at the level it deserves.
func TestLifecycleIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	conn := &fakeconn.Conn{}
	c := on(t, conn, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	log.Reset()
	conn.Emit(transport.Event{Kind: transport.Disconnected, Err: io.EOF})
	conn.Emit(transport.Event{Kind: transport.Reconnected, Server: "nats://a:4222"})
	emit(conn, transport.SessionReplaced)
	conn.Emit(transport.Event{Kind: transport.StoreLost, Err: errors.New("it is empty")})
	conn.Emit(transport.Event{Kind: transport.ServersDiscovered, Server: "nats://b:4222"})
	emit(conn, transport.LameDuck)
	emit(conn, transport.SlowConsumer)
	emit(conn, transport.AsyncError)
	for range 3 {
		access.Session(c).Degrade(t, "full", io.ErrShortWrite)
	}
	for range 3 {
		access.Session(c).Recover(t, "full")
	}
	emit(conn, transport.EventKind(99))
	require.NoError(t, c.Close(t.Context()))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	want := [][]string{
		{"level=WARN", "connection to the NATS server lost; reconnecting", "error=EOF"},
		{"level=INFO", "reconnected to the NATS server", "url=nats://a:4222"},
		{"level=WARN", "a new session has taken the place of the old one"},
		{"level=ERROR", "the server has lost what it had stored", `error="it is empty"`},
		{"level=INFO", "servers that were not known", "url=nats://b:4222"},
		{"level=WARN", "the NATS server is about to shut down"},
		{"level=WARN", "messages dropped"},
		{"level=WARN", "asynchronous error of the NATS connection"},
		{"level=WARN", "degraded", "reason=full", `error="short write"`},
		{"level=INFO", "recovered", "reason=full"},
		{"level=WARN", "EventKind(99)"},
		{"level=INFO", "msg=closed"},
	}
	require.Len(t, lines, len(want), log.String())
	for i, parts := range want {
		for _, part := range append(parts, "client=orders-1") {
			require.Contains(t, lines[i], part)
		}
	}
}

// TestStatusIsAsked by many while things happen, watchers among them.
func TestStatusIsAsked(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{}
	c := on(t, conn)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				emit(conn, transport.Disconnected)
				access.Session(c).Degrade(t, "full", nil)
				emit(conn, transport.Reconnected)
				access.Session(c).Recover(t, "full")
			}
		})
		wg.Go(func() {
			for range 200 {
				s := c.Status()
				if s.State == client.Degraded {
					s.Reasons[0].Text = "mine to keep"
				}
			}
		})
		wg.Go(func() {
			for e := range c.Watch(t.Context()) {
				if e.Kind == client.EventRecovered && e.Missed > 0 {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			events := c.Watch(ctx)
			cancel()
			for range events {
				t.Error("its context was done")
			}
		}
	})
	time.AfterFunc(100*time.Millisecond, func() { _ = c.Close(context.Background()) })
	wg.Wait()
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, client.Closed, c.Status().State)
}

func TestStateNames(t *testing.T) {
	t.Parallel()
	for state, name := range map[client.State]string{
		client.Connected: "connected", client.Degraded: "degraded", client.Reconnecting: "reconnecting", client.Closed: "closed",
		0: "State(0)", 5: "State(5)",
	} {
		require.Equal(t, name, state.String())
	}
}
