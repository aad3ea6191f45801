package jsonbench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// depthJobVariable tells a child process which contestant decodes which nested
// payload. A child, since a stack that overflows can't be recovered from: it
// would take the whole test run with it, as it would a listener.
const depthJobVariable = "JSONBENCH_DEPTH_JOB"

// depthTimeout bounds one child; the slowest takes a few seconds under -race.
const depthTimeout = time.Minute

// nestings are the sizes of the payloads: what a server lets through by default,
// and ten times that, since a limit that an operator may raise must not be what
// keeps a listener alive.
var nestings = []int{1 << 20, 10 << 20}

// A depthPlace is where an attacker can put nesting.
type depthPlace struct {
	name   string
	prefix string
	level  string // repeated until the payload is full, never closed
	target func() any
}

// anything is an event of a team that keeps a part of it as it came.
type anything struct {
	Any any `json:"any"`
}

func newTicket() any   { return new(TicketCreated) }
func newAnything() any { return new(anything) }

var depthPlaces = []depthPlace{
	{"arrays at the top", ``, `[`, newTicket},
	{"arrays in a skipped field", `{"other":`, `[`, newTicket},
	{"objects in a skipped field", `{"other":`, `{"a":`, newTicket},
	{"arrays in a field of type any", `{"any":`, `[`, newAnything},
	{"objects in a field of type any", `{"any":`, `{"a":`, newAnything},
}

// payload is size bytes of nesting, or a little less.
func (p depthPlace) payload(size int) []byte {
	return append([]byte(p.prefix), bytes.Repeat([]byte(p.level), size/len(p.level))...)
}

// depthCrashes lists who can be made to end the process, and from which size
// on: segmentio's parser calls itself for every level, without a limit.
var depthCrashes = map[string]int{"segmentio": 10 << 20}

// TestDeepNesting wants an error, and a process that lives to return it.
func TestDeepNesting(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a child process for each contestant, place and size")
	}
	contestants := All()
	table := newTable("nesting", contestants)
	for _, size := range nestings {
		for i, place := range depthPlaces {
			row := []string{fmt.Sprintf("%d MiB of %s", size>>20, place.name)}
			for _, c := range contestants {
				crashed, output := startDepthJob(t, depthJob{c.Name, i, size})
				least, crashes := depthCrashes[c.Name]
				if want := crashes && size >= least; crashed != want {
					t.Errorf("%s: %s: crashed %v, recorded %v: %s", row[0], c.Name, crashed, want, output)
				}
				if crashed {
					output = "CRASH"
				}
				row = append(row, output)
			}
			table.add(row)
		}
	}
	t.Logf("\n%s", table)
}

// A depthJob is what one child process does.
type depthJob struct {
	contestant string
	place      int
	size       int
}

func (j depthJob) String() string {
	return fmt.Sprintf("%s/%d/%d", j.contestant, j.place, j.size)
}

func parseDepthJob(s string) (depthJob, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return depthJob{}, fmt.Errorf("no depth job: %q", s)
	}
	place, err := strconv.Atoi(parts[1])
	if err != nil || place < 0 || place >= len(depthPlaces) {
		return depthJob{}, fmt.Errorf("no place: %q", s)
	}
	size, err := strconv.Atoi(parts[2])
	return depthJob{parts[0], place, size}, err
}

// startDepthJob reports whether the child died of it, and what it said first.
func startDepthJob(t *testing.T, job depthJob) (crashed bool, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), depthTimeout)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), depthJobVariable+"="+job.String())
	out, err := child.CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return err != nil, line
}

// runDepthJob is the child's whole life. Its exit code is 0 where the payload
// was refused in an orderly manner.
func runDepthJob(s string) int {
	job, err := parseDepthJob(s)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	contestants := All()
	i := slices.IndexFunc(contestants, func(c Contestant) bool { return c.Name == job.contestant })
	if i < 0 {
		fmt.Printf("no such contestant: %s\n", job.contestant)
		return 2
	}
	place := depthPlaces[job.place]
	if err := contestants[i].Decode(place.payload(job.size), place.target()); err == nil {
		fmt.Println("accepted an unfinished payload")
		return 3
	}
	fmt.Println("error")
	return 0
}
