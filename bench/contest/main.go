package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("contest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		rounds    = flags.Int("rounds", 9, "`number` of rounds of each workload")
		scale     = flags.Float64("scale", 1, "`factor` for the numbers of events in a round")
		only      = flags.String("only", "", "workloads whose name matches the `pattern` alone")
		entrants  = flags.String("entrant", "", "entrants whose name matches the `pattern` alone")
		profile   = flags.String("profile", "", "`folder` to write a CPU profile of each round's measured part to")
		devserver = flags.String("devserver", "../devserver", "`folder` of the module devserver, to build the server in")
		report    = flags.String("report", "", "`file` to write the report to (default: standard output)")
		plot      = flags.String("plot", "", "`file` to write the plot to")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	among, err := regexp.Compile(*entrants)
	if err != nil {
		return err
	}
	if *profile != "" {
		if err := os.MkdirAll(*profile, 0o750); err != nil {
			return fmt.Errorf("-profile: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "contest")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := settings{server: filepath.Join(dir, "server"), rounds: *rounds, scale: *scale, entrants: among, profile: *profile}
	if err := buildServer(ctx, s.server, *devserver); err != nil {
		return err
	}
	o := outcome{settings: s, began: time.Now(), load: loadNow(), entrants: make(map[string][]entrant), results: make(results)}
	for _, w := range append(throughput(), special()...) {
		if !chosen.MatchString(w.name) {
			continue
		}
		began := time.Now()
		taken, entrants, err := s.run(ctx, w)
		if err != nil {
			return err
		}
		if len(entrants) == 0 {
			continue
		}
		o.order = append(o.order, w.name)
		o.entrants[w.name], o.results[w.name] = entrants, taken
		fmt.Fprintf(stderr, "%s (%v)\n", w.name, time.Since(began).Round(100*time.Millisecond))
	}
	if len(o.order) == 0 {
		return fmt.Errorf("no entrant of a workload matches -only %q and -entrant %q: names are those in RESULTS.md", *only, *entrants)
	}
	o.took = time.Since(o.began)
	return o.write(*report, *plot, stdout)
}

// write writes report and plot where they are wanted.
func (o outcome) write(report, plot string, stdout io.Writer) error {
	if plot != "" {
		if err := toFile(plot, o.writePlot); err != nil {
			return err
		}
	}
	if report == "" {
		return o.writeReport(stdout, plot)
	}
	return toFile(report, func(w io.Writer) error { return o.writeReport(w, filepath.Base(plot)) })
}

func toFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name) //nolint:gosec // G304: the caller's choice of a file
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
