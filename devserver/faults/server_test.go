package faults_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is a server with a file store in a process of its own. It serves NATS
// Streaming and JetStream, on one port all its life.
type server struct {
	dir    string
	port   string // "0" before the first start
	cmd    *exec.Cmd
	stderr bytes.Buffer
	mind   func() // see mind
}

// newServer returns one that is not started. It is killed with the test.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), port: "0"}
	t.Cleanup(s.kill)
	return s
}

// url is for those who look on, and are not to suffer.
func (s *server) url() string { return "nats://" + s.address() }

func (s *server) address() string { return "127.0.0.1:" + s.port }

// start returns once clients can connect. Between two starts another process may
// have been given the port for a moment.
func (s *server) start(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := s.launch()
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "%v: %s", err, &s.stderr)
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *server) launch() error {
	// The heartbeats of the deployed server, or such that what takes them to happen
	// happens in seconds.
	beat := span(5*time.Second, time.Second).String()
	s.cmd = exec.Command(program, "-p", s.port, "-m", "0", "-mc", "0", "-mm", "0", "-dir", s.dir, "-hbi", beat, "-hbt", beat, "-hbf", "2")
	s.cmd.SysProcAttr = apart
	s.stderr.Reset()
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	if s.mind, err = mind(s.cmd.Process); err != nil {
		s.kill()
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.kill()
		return fmt.Errorf("the server did not start: %w", err)
	}
	for word := range strings.FieldsSeq(line) {
		if at, err := url.Parse(word); err == nil && at.Scheme == "nats" {
			s.port = at.Port()
		}
	}
	return nil
}

// kill is the end of a process that is told nothing. One that is not running stays so.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	if s.mind != nil {
		s.mind()
	}
	_ = s.cmd.Wait()
	s.cmd = nil
}

// terminate ends the process as an orchestrator does, so that it shuts down in its order,
// and returns once it has ended.
func (s *server) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.mind()
	stuck := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	s.cmd = nil
	require.True(t, stuck.Stop(), "the server did not end by itself")
	require.NoError(t, err)
}

// apart makes a process lead a group of its own. The kernel lets a frozen one go on
// when its group has lost its shell, and Ctrl-C ends all of a group.
var apart = &syscall.SysProcAttr{Setpgid: true}

// mind has a shell wait for the end of this process, and kill the other then: when
// tests take too long they are ended without a chance to clean up. Before the other
// is waited for, which frees its number, enough is to be called.
func mind(process *os.Process) (enough func(), err error) {
	shell := exec.Command("sh", "-c", fmt.Sprintf("read _ || kill -9 %d", process.Pid))
	shell.SysProcAttr = apart
	stdin, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return func() {
		_, _ = io.WriteString(stdin, "\n")
		_ = shell.Wait()
	}, nil
}

// freeze stops the process where it is, and returns once it stands still; its
// connections stay.
func (s *server) freeze(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		require.NoError(t, err)
		break
	}
	require.True(t, status.Stopped(), "the server has ended instead")
}

func (s *server) thaw(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGCONT))
}

// empty removes the store of a server that is killed.
func (s *server) empty(t *testing.T) {
	t.Helper()
	require.Nil(t, s.cmd)
	require.NoError(t, os.RemoveAll(s.dir))
}
