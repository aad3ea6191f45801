//go:build node

package node_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/subjects"
)

// process is a Node program that runs.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer  // complete once exited is closed
	exited chan struct{} // closed once it has ended and all it printed was handed on
	err    error         // of its end; written before exited is closed
}

// start runs a program as the client clientID of the server, and hands what it
// prints to got, line by line, from one goroutine. It does not outlive the test.
func start[Line any](t *testing.T, srv *devserver.Server, clientID string, got func(Line), program string, args ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	p.cmd = exec.Command("node", append([]string{program}, args...)...)
	p.cmd.Env = append(os.Environ(), "NATS_CLUSTER_ID="+srv.ClusterID(), "NATS_CLIENT_ID="+clientID, "NATS_URL="+srv.URL())
	p.cmd.Stderr = &p.stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())

	go func() {
		defer close(p.exited)
		unread := func() error {
			for lines := json.NewDecoder(stdout); ; {
				var line Line
				if err := lines.Decode(&line); err != nil {
					return err
				}
				got(line)
			}
		}()
		_, _ = io.Copy(io.Discard, stdout) // a program that is stuck in a write would not end
		p.err = p.cmd.Wait()
		if p.err == nil && unread != io.EOF { //nolint:errorlint // Decode returns it as it is
			p.err = unread
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // an error if it has ended, as it should have
		<-p.exited
		if t.Failed() && p.stderr.Len() > 0 {
			t.Logf("%s %s (%s) said:\n%s", program, strings.Join(args, " "), clientID, &p.stderr)
		}
	})
	return p
}

// wait waits for a program that ends by itself.
func (p *process) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
		require.NoError(t, p.err, "%v: %s", p.cmd.Args, &p.stderr)
	case <-time.After(patience):
		require.FailNow(t, "program did not end", "%v", p.cmd.Args)
	}
}

// terminate ends a service as its orchestrator does.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.wait(t)
}

// request is a line that publish.js reads: one of the three payloads.
type request struct {
	Subject subjects.Subject  `json:"subject"`
	Data    any               `json:"data,omitempty"`
	Text    *string           `json:"text,omitempty"`
	Bytes   []byte            `json:"bytes,omitempty"`
	Headers map[string]string `json:"headers,omitempty"` // for jetstream.js
}

// publishFromNode publishes the requests from a Node service and returns how many
// events were stored.
func publishFromNode(t *testing.T, srv *devserver.Server, args []string, requests ...request) int {
	t.Helper()
	return publishWith(t, srv, "publish.js", args, requests)
}

func publishWith(t *testing.T, srv *devserver.Server, program string, args []string, requests []request) int {
	t.Helper()
	stored := make(chan int, 1)
	p := start(t, srv, "node-publisher", func(line struct {
		Stored int `json:"stored"`
	},
	) {
		stored <- line.Stored
	}, program, args...)
	stdin, _ := p.stdin.(io.Writer)
	lines := json.NewEncoder(stdin)
	for _, r := range requests {
		require.NoError(t, lines.Encode(r))
	}
	require.NoError(t, p.stdin.Close())
	p.wait(t)
	select {
	case n := <-stored:
		return n
	default:
		require.FailNow(t, program+" ended without saying what was stored")
		return 0
	}
}

// arrival is an event that came to listen.js or jetstream.js.
type arrival struct {
	Subject     subjects.Subject    `json:"subject"`
	Sequence    uint64              `json:"sequence"`
	Redelivered bool                `json:"redelivered"`
	Raw         []byte              `json:"raw"`     // the payload
	Data        json.RawMessage     `json:"data"`    // what it was parsed to; nil: it was not
	Problem     string              `json:"problem"` // why it was not, or how it is not what was expected
	Headers     map[string][]string `json:"headers"` // on JetStream
}

// nodeListener is a Node service that listens.
type nodeListener struct{ *process }

// listenFromNode starts a Node service, waits until it listens, and hands each
// event to got.
func listenFromNode(t *testing.T, srv *devserver.Server, clientID string, got func(arrival), args ...string) nodeListener {
	t.Helper()
	return listenWith(t, srv, clientID, got, "listen.js", args...)
}

func listenWith(t *testing.T, srv *devserver.Server, clientID string, got func(arrival), program string, args ...string) nodeListener {
	t.Helper()
	ready := make(chan struct{})
	joined := sync.OnceFunc(func() { close(ready) })
	p := start(t, srv, clientID, func(line struct {
		arrival
		Ready bool `json:"ready"`
	},
	) {
		if line.Ready {
			joined()
			return
		}
		got(line.arrival)
	}, program, args...)
	select {
	case <-ready:
	case <-p.exited:
		require.FailNow(t, program+" ended", "%v: %s", p.err, &p.stderr)
	case <-time.After(patience):
		require.FailNow(t, program+" does not listen")
	}
	return nodeListener{p}
}

func (l nodeListener) leave(t *testing.T) {
	t.Helper()
	l.terminate(t)
	assert.Empty(t, l.stderr.String(), "what it complained of")
}
