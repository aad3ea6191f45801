package client_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// drains returns a runner that works until its context is done, and then that long.
func drains(d time.Duration) client.Runner {
	return client.RunnerFunc(func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(d)
		return nil
	})
}

// runFor runs with a context of that time, and returns how long that took.
func runFor(t *testing.T, d time.Duration, c *client.Client, runners ...client.Runner) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	err := client.Run(ctx, c, runners...)
	took := time.Since(began)
	require.Equal(t, client.Closed, c.Status().State, "in any case")
	return took, err
}

// TestRunEnds with its context, when a runner fails, and when all have returned; it waits
// for all runners, and closes the client.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no such channel")
		fails := client.RunnerFunc(func(context.Context) error { time.Sleep(time.Second); return failed })
		returns := client.RunnerFunc(func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		for name, tc := range map[string]struct {
			runners []client.Runner
			took    time.Duration
			err     error
		}{
			"with its context":        {[]client.Runner{drains(time.Second), drains(3 * time.Second)}, time.Minute + 3*time.Second, nil},
			"without runners":         {nil, time.Minute, nil},
			"a runner fails":          {[]client.Runner{drains(time.Second), fails}, 2 * time.Second, failed},
			"all runners return":      {[]client.Runner{returns, returns}, 2 * time.Second, nil},
			"one returns, one stays":  {[]client.Runner{returns, drains(0)}, time.Minute, nil},
			"one returns, one fails,": {[]client.Runner{returns, fails}, 2 * time.Second, failed},
		} {
			took, err := runFor(t, time.Minute, on(t, &fakeconn.Conn{}), tc.runners...)
			require.Equal(t, tc.took, took, name)
			if tc.err == nil {
				require.NoError(t, err, name)
			} else {
				require.ErrorIs(t, err, tc.err, name)
			}
		}
	})
}

// TestRunEndsWithTheClient: closed by somebody else is an orderly end, lost for good is not.
func TestRunEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, runners := range [][]client.Runner{nil, {drains(time.Second)}} {
			c := on(t, &fakeconn.Conn{})
			time.AfterFunc(time.Second, func() { _ = c.Close(context.Background()) })
			took, err := runFor(t, time.Minute, c, runners...)
			require.NoError(t, err)
			require.Less(t, took, 3*time.Second)

			conn := &fakeconn.Conn{}
			c = on(t, conn)
			time.AfterFunc(time.Second, func() { conn.End(errors.Join(transport.ErrConnectionLost, io.EOF)) })
			took, err = runFor(t, time.Minute, c, runners...)
			require.ErrorIs(t, err, client.ErrConnectionLost)
			require.ErrorIs(t, err, io.EOF)
			require.Less(t, took, 3*time.Second)
		}
	})
}

// hangingConn is a connection whose Close takes what time it is given.
type hangingConn struct{ fakeconn.Conn }

func (h *hangingConn) Close(ctx context.Context) error {
	<-ctx.Done()
	_ = h.Conn.Close(ctx)
	return fmt.Errorf("2 publishes not confirmed: %w", context.Cause(ctx))
}

// TestRunCloses within CloseTimeout, and returns what was unfinished beside what failed.
func TestRunCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no such channel")
		for _, tc := range []struct {
			opts []client.Option
			took time.Duration
		}{
			{nil, 11 * time.Second},
			{[]client.Option{client.CloseTimeout(3 * time.Second)}, 4 * time.Second},
		} {
			conn := &hangingConn{}
			dial := conn.Dialer()
			c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", append(tc.opts, quiet(),
				client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
					_, err := dial(ctx, cfg)
					return conn, err
				}))...)
			require.NoError(t, err)
			took, err := runFor(t, time.Second, c, drains(0), client.RunnerFunc(func(ctx context.Context) error { <-ctx.Done(); return failed }))
			require.Equal(t, tc.took, took.Round(100*time.Millisecond))
			require.ErrorIs(t, err, failed)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "2 publishes not confirmed")
		}
	})
}

// TestRunRefuses what can't run, and closes the client all the same.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, client.Run(t.Context(), nil), client.ErrInvalid)
	c := on(t, &fakeconn.Conn{})
	err := client.Run(t.Context(), c, drains(0), nil)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "runner 2 of 2: nil")
	require.ErrorIs(t, c.Err(), client.ErrClosed)
	c = on(t, &fakeconn.Conn{})
	err = client.Run(t.Context(), c, client.RunnerFunc(nil))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "runner 1 of 1: nil")
	require.ErrorIs(t, c.Err(), client.ErrClosed)

	_, err = client.Build(t.Context(), "ticketing", "orders-1", "nats://x", client.CloseTimeout(0))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option CloseTimeout: 0s")
}

// TestRunOutlivesPanics: a runner that panics, or ends its goroutine, ends the others in
// order, and the client.
func TestRunOutlivesPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		panics := client.RunnerFunc(func(context.Context) error { panic("no such map") })
		leaves := client.RunnerFunc(func(context.Context) error { runtime.Goexit(); return nil })
		var log bytes.Buffer
		c := on(t, &fakeconn.Conn{}, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		took, err := runFor(t, time.Minute, c, drains(time.Second), panics)
		require.Equal(t, time.Second, took, "the other one drains")
		require.ErrorContains(t, err, "runner 2 of 2 (client.RunnerFunc) panicked: no such map")
		require.Contains(t, log.String(), `msg="a runner panicked: the service ends" client=orders-1 runner="runner 2 of 2" panic="no such map" stack=`)
		require.Contains(t, log.String(), "TestRunOutlivesPanics")

		took, err = runFor(t, time.Minute, on(t, &fakeconn.Conn{}), drains(time.Second), leaves)
		require.Equal(t, time.Second, took)
		require.ErrorContains(t, err, "runtime.Goexit")
	})
}

// asService is the environment variable by which this test program, started again by
// itself, is a service, and says what ends it. Its handler finishes with the standard input.
const (
	asService   = "CLIENT_TEST_AS_SERVICE"
	signalEnds  = "a signal"
	contextEnds = "its context"
)

// service is what a service's main does. It returns the exit status.
func service() int {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	c, err := client.Build(ctx, "ticketing", "orders-1", "", client.Transport(memory.New().Dialer()))
	if err != nil {
		return 3
	}
	err = client.Run(ctx, c, client.RunnerFunc(func(ctx context.Context) error {
		fmt.Println("runs")
		if os.Getenv(asService) == contextEnds {
			end()
		}
		<-ctx.Done()
		fmt.Println("drains")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}))
	fmt.Println("closed:", err, c.Err())
	return 0
}

// child is a service in a process of its own.
type child struct {
	*exec.Cmd

	stdin io.Closer
	lines *bufio.Scanner
	log   *bytes.Buffer
}

func startService(t *testing.T, ends string) child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // never used up
	t.Cleanup(cancel)
	c := child{Cmd: exec.CommandContext(ctx, exe), log: new(bytes.Buffer)}
	c.Env = append(os.Environ(), asService+"="+ends)
	c.Stderr = c.log
	c.stdin, err = c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.lines = bufio.NewScanner(out)
	require.NoError(t, c.Start())
	c.says(t, "runs")
	return c
}

func (c child) says(t *testing.T, line string) {
	t.Helper()
	c.lines.Scan()
	require.Equal(t, line, c.lines.Text())
}

// finish lets the handler finish, after which the child ends in order.
func (c child) finish(t *testing.T) {
	t.Helper()
	require.NoError(t, c.stdin.Close())
	c.says(t, "closed: <nil> closed")
	require.NoError(t, c.Wait())
}

// TestRunEndsWithASignal: the first one drains, the second one ends the process at once.
func TestRunEndsWithASignal(t *testing.T) {
	t.Parallel()
	for _, first := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(first.String(), func(t *testing.T) {
			t.Parallel()
			c := startService(t, signalEnds)
			require.NoError(t, c.Process.Signal(first))
			c.says(t, "drains")
			c.finish(t)
			require.Contains(t, c.log.String(), "signal="+first.String())
		})
		t.Run(first.String()+", and another", func(t *testing.T) {
			t.Parallel()
			c := startService(t, signalEnds)
			require.NoError(t, c.Process.Signal(first))
			c.says(t, "drains")
			requireKilled(t, c)
		})
	}
}

// requireKilled sends a signal which ends the child at once.
func requireKilled(t *testing.T, c child) {
	t.Helper()
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.Error(t, c.Wait())
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled())
	require.Equal(t, syscall.SIGTERM, status.Signal())
}

// TestRunTakesTheFirstSignal also when the service ends already: it must not cut off
// handlers that finish.
func TestRunTakesTheFirstSignal(t *testing.T) {
	t.Parallel()
	c := startService(t, contextEnds)
	c.says(t, "drains")
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	c.finish(t)
}

func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background()) // a service has signals
	defer stop()
	broker := memory.New() // a service has a server
	c, err := client.Build(ctx, "ticketing", "orders-1", "", client.Transport(broker.Dialer()),
		client.Logger(slog.New(slog.DiscardHandler)), client.CloseTimeout(5*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	work := client.RunnerFunc(func(ctx context.Context) error {
		fmt.Println("works")
		stop()
		<-ctx.Done()
		fmt.Println("ends")
		return nil
	})
	fmt.Println(client.Run(ctx, c, work))
	// Output:
	// works
	// ends
	// <nil>
}
