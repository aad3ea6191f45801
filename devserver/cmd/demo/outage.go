package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sgtickets/common/devserver"
)

// serveIn is the environment variable by which this program, started again by
// itself, is the server: with its events in files in that directory.
const (
	serveIn   = "TICKETING_DEMO_SERVE_IN"
	servePort = "TICKETING_DEMO_SERVE_PORT"
)

// serve is the server's process. It says where it is, and ends with its standard
// input, so that it does not outlive the demo.
func serve() error {
	port, err := strconv.Atoi(os.Getenv(servePort))
	if err != nil {
		return err
	}
	s, err := devserver.Start(devserver.StoreDir(os.Getenv(serveIn)), devserver.Port(port))
	if err != nil {
		return err
	}
	fmt.Println(s.ClusterID(), s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// serverProcess is a server in a process of its own, which can be killed.
type serverProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer

	clusterID, url string
}

// startServer starts a server with its events in files in dir, on any free port if
// port is 0, and returns when clients can connect.
func startServer(dir string, port int) (*serverProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self) //nolint:gosec,noctx // this program itself, which ends with its standard input
	cmd.Env = append(os.Environ(), serveIn+"="+dir, servePort+"="+strconv.Itoa(port))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &serverProcess{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	clusterID, address, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		s.kill()
		return nil, errors.Join(errors.New("the server did not start"), err)
	}
	s.clusterID, s.url = clusterID, address
	return s, nil
}

// kill ends the server as a power failure does: it gets no time to say or write
// anything.
func (s *serverProcess) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // its error is that it was killed
	_ = s.stdin.Close()
}

// shutdown lets it end by itself.
func (s *serverProcess) shutdown() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}

// outage is how the server goes away and comes back: on the same port, and with
// the same files.
func outage(ctx context.Context, s *serverProcess, dir string, length time.Duration) (*serverProcess, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return s, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return s, fmt.Errorf("the port of %s: %w", s.url, err)
	}
	s.kill()
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
	return startServer(dir, port)
}
