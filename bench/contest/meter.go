package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

// sample is what one event cost in one round.
type sample struct {
	time, cpu     float64 // nanoseconds; cpu is this process's, in user and kernel
	allocs, bytes float64
	extra         map[string]float64 // by name: what else a workload measures
}

// meter measures one round: the first call of start to the last of stop.
type meter struct {
	began  time.Time
	cpu    time.Duration
	memory runtime.MemStats
	taken  sample

	profiles string   // folder for a CPU profile; empty: none
	file     *os.File // of the one that is taken
}

// start begins to measure. What the rounds before have left is collected first.
func (m *meter) start() {
	runtime.GC()
	m.profile()
	runtime.ReadMemStats(&m.memory)
	m.cpu = cpuTime()
	m.began = time.Now()
}

// stop ends it, after that many events.
func (m *meter) stop(events int) {
	elapsed := time.Since(m.began)
	cpu := cpuTime() - m.cpu
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m.endProfile()
	n := float64(events)
	m.taken.time = float64(elapsed) / n
	m.taken.cpu = float64(cpu) / n
	m.taken.allocs = float64(now.Mallocs-m.memory.Mallocs) / n
	m.taken.bytes = float64(now.TotalAlloc-m.memory.TotalAlloc) / n
}

// profile begins a CPU profile, where one is wanted.
func (m *meter) profile() {
	if m.profiles == "" {
		return
	}
	f, err := os.CreateTemp(m.profiles, "cpu-*.pprof")
	if err == nil {
		m.file = f
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
	}
}

func (m *meter) endProfile() {
	if m.file == nil {
		return
	}
	pprof.StopCPUProfile()
	if err := m.file.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
	}
	m.file = nil
}

// note keeps what else was measured.
func (m *meter) note(name string, value float64) {
	if m.taken.extra == nil {
		m.taken.extra = make(map[string]float64)
	}
	m.taken.extra[name] = value
}

// cpuTime is what this process has used so far: the server is another one.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it takes no argument that could be wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
