package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// The NATS server counts who needs its clock of access times, one for the process, and it
// was once seen to keep it after all servers had ended.
var accessTimes = goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")

// asServer makes the test program be the server, so that the tests can run it
// as a child process without building it first.
const asServer = "DEVSERVER_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
	}
	goleak.VerifyTestMain(m, accessTimes)
}

const patience = 20 * time.Second

// child is the server in a process of its own.
type child struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer
	url    string
	env    map[string]string // of services, by what they use
}

var (
	saying    = regexp.MustCompile(`^listening on (nats://\S+) \(cluster (\S+), (.+), (.+)\)\n$`)
	sayingEnv = regexp.MustCompile(`^ {2}(.+): +(NATS_.+)\n$`)
)

func startChild(t *testing.T, args ...string) (*child, []string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.CommandContext(t.Context(), exe, args...), stderr: new(bytes.Buffer)}
	c.cmd.Env = append(os.Environ(), asServer+"=1")
	c.cmd.Stderr = c.stderr
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.stdout = bufio.NewReader(out)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { // after a test that failed half way
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	watchdog := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer watchdog.Stop()
	line, err := c.stdout.ReadString('\n')
	require.NoError(t, err, "standard error: %s", c.stderr)
	said := saying.FindStringSubmatch(line)
	require.NotNil(t, said, line)
	c.url = said[1]
	c.env = make(map[string]string)
	for range 2 {
		line, err := c.stdout.ReadString('\n')
		require.NoError(t, err)
		service := sayingEnv.FindStringSubmatch(line)
		require.NotNil(t, service, line)
		c.env[service[1]] = service[2]
	}
	return c, said[2:]
}

// end sends sig and returns the exit status and what was printed since.
func (c *child) end(t *testing.T, sig os.Signal) (int, string) {
	t.Helper()
	watchdog := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer watchdog.Stop()
	require.NoError(t, c.cmd.Process.Signal(sig))
	rest, err := io.ReadAll(c.stdout)
	require.NoError(t, err)
	_ = c.cmd.Wait() // an exit status other than 0 is not a failure of Wait
	return c.cmd.ProcessState.ExitCode(), string(rest)
}

func TestServesUntilSignal(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			c, said := startChild(t, "-p", "0", "-m", "-1")
			assert.Equal(t, "ticketing", said[0])
			assert.Equal(t, "memory store", said[1])
			assert.Regexp(t, `^monitoring on http://127\.0\.0\.1:\d+$`, said[2])

			conn, err := stan.Connect("ticketing", "client", stan.NatsURL(c.url))
			require.NoError(t, err)
			require.NoError(t, conn.Publish("ticket:created", []byte("one")))
			require.NoError(t, conn.Close())

			status, rest := c.end(t, sig)
			assert.Equal(t, 0, status)
			assert.Empty(t, rest, "that is all it prints")
			assert.Empty(t, c.stderr.String(), "and quiet otherwise")
		})
	}
}

// TestServesBoth: a service that has one of the environments that are printed
// publishes and listens, over what the line says.
func TestServesBoth(t *testing.T) {
	c, _ := startChild(t, "-p", "0", "-m", "0", "-cid", "other")
	for service, headers := range map[string]bool{"NATS Streaming": false, "JetStream": true} {
		t.Run(service, func(t *testing.T) {
			for variable := range strings.FieldsSeq(c.env[service]) {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, err := client.FromEnv(ctx, client.Logger(slog.New(slog.DiscardHandler)))
			require.NoError(t, err)
			defer func() { assert.NoError(t, conn.Close(context.WithoutCancel(ctx))) }()
			p, err := publisher.New[events.ExpirationComplete](conn)
			require.NoError(t, err)
			sent := events.ExpirationComplete{OrderID: service}
			require.NoError(t, p.Publish(ctx, sent))

			ctx, stop := context.WithCancel(ctx)
			defer stop()
			l, err := listener.New(conn, "group", func(_ context.Context, e events.ExpirationComplete, d listener.Delivery) error {
				assert.Equal(t, sent, e)
				assert.Equal(t, headers, len(d.Header) > 0, "only JetStream has headers")
				stop()
				return nil
			})
			require.NoError(t, err)
			require.NoError(t, l.Listen(ctx))
			assert.NotErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it never came")
		})
	}
	status, _ := c.end(t, syscall.SIGTERM)
	assert.Equal(t, 0, status)
	assert.Empty(t, c.stderr.String())
}

func TestFlagsOfTheDeployedServer(t *testing.T) {
	c, said := startChild(t, "-p", "-1", "-m", "-1", "-hbi", "5s", "-hbt", "5s", "-hbf", "2", "-SD", "-cid", "other")
	assert.Equal(t, "other", said[0])
	status, _ := c.end(t, os.Interrupt)
	assert.Equal(t, 0, status)
	assert.Contains(t, c.stderr.String(), "Did not detect another server instance", "-SD shows the debug lines")
}

func TestFileStore(t *testing.T) {
	dir := t.TempDir()
	c, said := startChild(t, "-p", "0", "-m", "0", "-dir", dir, "-user", "u", "-pass", "p")
	assert.Equal(t, "file store "+dir, said[1])
	assert.Equal(t, "no monitoring", said[2])

	_, err := stan.Connect("ticketing", "client", stan.NatsURL(c.url))
	assert.ErrorContains(t, err, "Authorization Violation")
	_, err = devserver.Start(devserver.StoreDir(dir))
	assert.ErrorContains(t, err, "another process uses it")

	status, _ := c.end(t, syscall.SIGTERM)
	assert.Equal(t, 0, status)
	srv, err := devserver.Start(devserver.StoreDir(dir))
	require.NoError(t, err)
	srv.Shutdown()
}

func TestStatusOfFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)

	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"help":         {[]string{"-h"}, 0, "-cid id"},
		"no such flag": {[]string{"-store"}, 2, "-store"},
		"no flag":      {[]string{"4222"}, 2, `only flags are expected, not "4222"`},
		"wrong value":  {[]string{"-cid", "a.b"}, 1, `ClusterID("a.b")`},
		"taken port":   {[]string{"-p", taken}, 1, "Port(" + taken + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, test.status, run(test.args, &stdout, &stderr))
			assert.Empty(t, stdout.String())
			assert.Contains(t, stderr.String(), test.says)
		})
	}
}
