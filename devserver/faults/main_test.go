// Package faults_test holds the library against what goes wrong between a service
// and its broker: servers that are killed, frozen, or come back empty, links that
// are cut, stall, or die without a word, processes that are killed or replaced. The
// servers, and what is to be killed, are processes of their own; the links go
// through package proxy. And it holds it against events that are slow, can't be
// decoded, or make their handlers fail or panic. A ledger counts from both ends, and
// each fault has a goal.
//
//	go test ./faults                     # scaled down to seconds
//	go test -v -timeout 30m ./faults -full
//	go test -v -timeout 0 ./faults -run TestSoak -soak 10m -seed 1
//
// With -full, raw stan.go is measured too, as a competent user writes it.
package faults_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	full = flag.Bool("full", false, "the faults at their real length, raw stan.go beside the library")
	only = flag.String("transport", "", "streaming, jetstream or raw alone")
	rate = flag.Int("rate", 0, "events a second (default 50; 600 in the soak)")
	soak = flag.Duration("soak", 0, "how long to throw random faults at both transports")
	seed = flag.Uint64("seed", 0, "of the soak's random faults (default: any)")
)

// program is devserver/cmd/server, built.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	if config := os.Getenv(asService); config != "" {
		os.Exit(serve(config))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// The tests wait most of the time, also on a machine of two processors.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "faults")
	if err == nil {
		program = filepath.Join(dir, "server")
		err = build(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	faultTable.print(os.Stdout, sides())
	eventTable.print(os.Stdout, sidesOfEvents())
	if err := errors.Join(os.RemoveAll(dir), goleak.Find()); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func build(program string) error {
	cmd := exec.Command("go", "build", "-o", program, "../cmd/server")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// span is how long something takes: in full, or scaled down.
func span(whole, scaled time.Duration) time.Duration {
	if *full {
		return whole
	}
	return scaled
}
