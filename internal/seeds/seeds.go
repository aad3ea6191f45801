// Package seeds plays simulations by seed, for tests.
package seeds

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Tell takes the story of a run; nil: nobody listens.
type Tell func(format string, args ...any)

// T is the part of testing.T that is needed here.
type T interface {
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// violation is the panic that ends a run.
type violation string

// Violatef ends a run: what is told must not happen.
func Violatef(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// Play runs a simulation, and returns what did not hold; empty: all did.
func Play(run func()) (broken string) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			broken = string(v)
		default:
			panic(v)
		}
	}()
	run()
	return ""
}

// Run plays the seeds below n, or below the variable SEEDS, or that of the variable
// SEED alone, with its story. play returns what did not hold.
func Run(t T, n uint64, play func(seed uint64, tell Tell) (broken string)) {
	if seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		if broken := play(seed, t.Logf); broken != "" {
			t.Errorf("SEED=%d: %s", seed, broken)
		}
		return
	}
	if wanted, err := strconv.ParseUint(os.Getenv("SEEDS"), 10, 64); err == nil {
		n = wanted
	}
	began := time.Now()
	workers := uint64(runtime.GOMAXPROCS(0)) //nolint:gosec // G115: it is positive
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for seed := worker; seed < n; seed += workers {
				if broken := play(seed, nil); broken != "" {
					t.Errorf("SEED=%d: %s", seed, broken)
					return
				}
			}
		})
	}
	running.Wait()
	t.Logf("%d seeds in %v", n, time.Since(began).Round(time.Millisecond))
}

// Find plays the seeds below n until one shows a mistake that was made on purpose.
func Find(t T, n uint64, play func(seed uint64) (broken string)) {
	for seed := range n {
		if broken := play(seed); broken != "" {
			t.Logf("found with %d seeds: %s", seed+1, broken)
			return
		}
	}
	t.Errorf("the mistake is not found with %d seeds", n)
}

// Replay plays each of the seeds below n twice: both times the story must be the same.
func Replay(t T, n uint64, play func(seed uint64, tell Tell) (broken string)) {
	for seed := range n {
		var stories [2]strings.Builder
		for i := range stories {
			play(seed, func(format string, args ...any) { fmt.Fprintf(&stories[i], format+"\n", args...) })
		}
		if stories[0].String() != stories[1].String() {
			t.Errorf("SEED=%d is not the same story twice", seed)
			return
		}
	}
}
