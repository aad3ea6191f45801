package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// cluster is the cluster ID, and the name of the JetStream stream.
const cluster = "bench"

// buildServer builds the server of package devserver, which is not imported: it
// would be a part of this process.
func buildServer(ctx context.Context, program, devserver string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/server") //nolint:gosec // G204: a file of our own
	build.Dir = devserver
	build.Env = append(os.Environ(), "GOWORK=off")
	build.Stderr = os.Stderr
	return build.Run()
}

// startServer starts a server in a process of its own, with a file store in dir, or
// a memory store where that is empty.
func startServer(ctx context.Context, program, dir string) (url string, stop func(), err error) {
	args := []string{"-p", "0", "-m", "0", "-mc", "0", "-cid", cluster}
	if dir != "" {
		args = append(args, "-dir", dir)
	}
	server := exec.CommandContext(ctx, program, args...)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %w", err)
	}
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "nats://") {
			return word, stop, nil
		}
	}
	stop()
	return "", nil, errors.New("the server did not say where it is: " + line)
}
