package client_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" { // this program is started again as a service
		os.Exit(service())
	}
	// Package os/signal begins a goroutine at its first use, which must not be in a bubble.
	warm := make(chan os.Signal, 1)
	signal.Notify(warm, syscall.SIGCONT)
	signal.Stop(warm)
	goleak.VerifyTestMain(m)
}
