package schedule

import (
	"slices"
	"time"
)

// MaxMarkAge is how much older than the newest a mark may be to count.
const MaxMarkAge = 30 * 24 * time.Hour

const (
	// silentIntervals: a Listen that has not renewed its mark for so many of the intervals
	// that the mark names has ended without an end.
	silentIntervals = 3
	// maxMarks bounds the memory: beyond it the oldest mark is forgotten.
	maxMarks = 4096
)

// Mark is what a Listen stores of the suspect events that it runs.
type Mark struct {
	Process  string        // names the process
	Listen   string        // names the Listen, of which a process may have several
	Number   uint64        // of the marks of that Listen. The highest counts, in whatever order they were stored
	Events   []string      // those that run, or are about to
	Interval time.Duration // after which the Listen stores the next mark, if one of them still runs then
	Stored   time.Time     // by the server's clock
	Client   string        // its client ID, for people
}

// Marks are the latest marks of all Listens of a group. They tell which processes have ended
// while they ran an event. Marks is not safe for concurrent use.
type Marks struct {
	process  string // whose own marks are not counted
	maxEnded int    // an event is given up when so many processes have ended while they ran it
	latest   map[string]heardMark
	newest   time.Time // when the newest was stored
}

// heardMark is a mark, and when it came here by this process's clock.
type heardMark struct {
	Mark

	heard time.Time
}

// NewMarks returns the marks as a process sees them. An event is to be given up when maxEnded
// processes have ended while they ran it.
func NewMarks(process string, maxEnded int) *Marks {
	return &Marks{process: process, maxEnded: maxEnded, latest: make(map[string]heardMark)}
}

// Hear takes a mark in.
func (m *Marks) Hear(mark Mark, now time.Time) {
	if before, known := m.latest[mark.Listen]; known && before.Number > mark.Number {
		return
	}
	if mark.Stored.After(m.newest) {
		m.newest = mark.Stored
	}
	m.latest[mark.Listen] = heardMark{mark, now}
	if len(m.latest) > maxMarks {
		m.forgetOldest()
	}
}

func (m *Marks) forgetOldest() {
	var oldest string
	for listen, mark := range m.latest {
		if oldest == "" || mark.Stored.Before(m.latest[oldest].Stored) {
			oldest = listen
		}
	}
	delete(m.latest, oldest)
}

// Judgement is what the marks say of an event.
type Judgement struct {
	Ended   []string  // the client IDs of the processes that have ended while they ran it, one for each process
	Crashes bool      // they are so many that the event is to be given up
	Until   time.Time // some more may have ended, so that it would be given up: look again then, or when a mark has come; zero: nothing is open
}

// Judge counts the processes that have ended while they ran an event: those whose latest mark
// names it, and that have stored no other since then, although their interval has passed
// several times. since is when the caller began to hear every mark that is stored. So a
// process counts as one that lives if it has stored a mark since then; it need not be known
// for how long it was silent before, which may have been the fault of the server.
func (m *Marks) Judge(event string, since, now time.Time) Judgement {
	type process struct {
		client string
		alive  bool
		silent time.Time // from then on it counts as ended
	}
	running := make(map[string]process)
	for _, mark := range m.latest {
		if !slices.Contains(mark.Events, event) || mark.Process == m.process || m.newest.Sub(mark.Stored) > MaxMarkAge {
			continue
		}
		p := running[mark.Process]
		p.client, p.alive = mark.Client, p.alive || mark.heard.After(since)
		if silent := since.Add(silentIntervals * mark.Interval); silent.After(p.silent) {
			p.silent = silent
		}
		running[mark.Process] = p
	}
	var j Judgement
	open := 0
	for _, p := range running {
		switch {
		case p.alive:
		case p.silent.After(now):
			open++
			if j.Until.IsZero() || p.silent.Before(j.Until) {
				j.Until = p.silent
			}
		default:
			j.Ended = append(j.Ended, p.client)
		}
	}
	slices.Sort(j.Ended)
	j.Crashes = len(j.Ended) >= m.maxEnded
	if j.Crashes || len(j.Ended)+open < m.maxEnded {
		j.Until = time.Time{}
	}
	return j
}
