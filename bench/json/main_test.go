package jsonbench

import (
	"os"
	"testing"
)

// TestMain lets the test binary be its own child process: see depth_test.go.
func TestMain(m *testing.M) {
	if job := os.Getenv(depthJobVariable); job != "" {
		os.Exit(runDepthJob(job))
	}
	m.Run()
}
