package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// workload is one thing that is measured, of several entrants that take turns.
type workload struct {
	name    string
	file    bool // the server keeps events in files
	rounds  int  // 0: as many as asked for
	prepare func(l *lab) ([]entrant, error)
}

// entrant is one who takes part in a workload.
type entrant struct {
	name string
	of   string // the entrant whom its figures are compared to
	// round is one round, a part of which it measures.
	round func(m *meter) error
}

// lab is where a workload is under way.
type lab struct {
	ctx     context.Context //nolint:containedctx // of the whole workload
	url     string          // of its server
	scale   float64         // of the numbers of events
	closers []func()
}

// open connects a contestant for as long as the workload takes.
func (l *lab) open(c contestant) (link, error) {
	k, err := c.connect(l.ctx, l.url)
	if err != nil {
		return nil, fmt.Errorf("%s: connect: %w", c.name, err)
	}
	l.closers = append(l.closers, k.close)
	return k, nil
}

// events is how many a round has.
func (l *lab) events(n int) int { return max(int(float64(n)*l.scale), 1) }

// settings of a run of the contest.
type settings struct {
	server string  // program
	rounds int     // of each workload
	scale  float64 // of the numbers of events in a round

	entrants *regexp.Regexp // who takes part
	profile  string         // folder for profiles; empty: none
}

// results are the samples of each entrant of each workload.
type results map[string]map[string][]sample

// run measures a workload, with a server of its own.
func (s settings) run(ctx context.Context, w workload) (map[string][]sample, []entrant, error) {
	dir := ""
	if w.file {
		var err error
		if dir, err = os.MkdirTemp("", "contest"); err != nil {
			return nil, nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	url, stop, err := startServer(ctx, s.server, dir)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	l := &lab{ctx: ctx, url: url, scale: s.scale}
	defer func() {
		for _, f := range slices.Backward(l.closers) {
			f()
		}
	}()
	entrants, err := w.prepare(l)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", w.name, err)
	}
	entrants = slices.DeleteFunc(entrants, func(e entrant) bool { return !s.entrants.MatchString(e.name) })
	taken := make(map[string][]sample)
	rounds := s.rounds
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	for round := range rounds + 1 { // the first is to warm up
		for i := range entrants {
			e := entrants[(i+round)%len(entrants)] // who goes first is another one each time
			var m meter
			if round > 0 {
				m.profiles = s.profile
			}
			if err := e.round(&m); err != nil {
				return nil, nil, fmt.Errorf("%s: %s: %w", w.name, e.name, err)
			}
			if round > 0 {
				taken[e.name] = append(taken[e.name], m.taken)
			}
		}
	}
	return taken, entrants, nil
}

// median is that of what figure takes from the samples.
func median(samples []sample, figure func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
