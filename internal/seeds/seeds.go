// Package seeds runs simulations by seed, for tests. A seed decides everything that is
// random in a run, so that a run that fails can be repeated.
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

// Tell logs a step of a run. A nil Tell means that nobody reads the log: the simulation
// must not call it.
type Tell func(format string, args ...any)

// T is the part of testing.T that this package needs.
type T interface {
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// violation is the value with which Violatef panics.
type violation string

// Violatef ends a run, within Play, because something happened that must not. The message
// says what.
func Violatef(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// Play runs a simulation. It returns the message of Violatef, or an empty string if the
// simulation did not call it.
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

// Run calls play with each seed below n and reports those for which play returns a message
// of what was violated. The environment variable SEEDS, a number, replaces n. The variable
// SEED, a number, runs that seed alone and logs its steps.
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

// Find calls play with the seeds below n until a seed finds a violation. It is for a
// simulation with a mistake that was made on purpose: t fails if no seed finds it.
func Find(t T, n uint64, play func(seed uint64) (broken string)) {
	for seed := range n {
		if broken := play(seed); broken != "" {
			t.Logf("found with %d seeds: %s", seed+1, broken)
			return
		}
	}
	t.Errorf("the mistake is not found with %d seeds", n)
}

// Replay calls play twice with each seed below n. t fails if a seed logs different steps
// the second time.
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
