package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sgtickets/common/devserver"
)

// startServer starts the embedded server with its events in files in dir, on any
// free port if port is 0.
func startServer(dir string, port int) (*devserver.Server, error) {
	return devserver.Start(devserver.StoreDir(dir), devserver.Port(port))
}

// outage is how the server goes away and comes back: on the same port, and with
// the same files.
func outage(ctx context.Context, s *devserver.Server, dir string, length time.Duration) (*devserver.Server, error) {
	port, err := portOf(s.URL())
	if err != nil {
		return nil, err
	}
	s.Shutdown()
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
	return startServer(dir, port)
}

func portOf(serverURL string) (int, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0, fmt.Errorf("the port of %s: %w", serverURL, err)
	}
	return port, nil
}
