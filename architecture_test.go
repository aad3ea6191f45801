// Package common_test holds what is true of the module as a whole.
package common_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sgtickets/common"

type goPackage struct {
	ImportPath string   `json:"ImportPath"`
	GoFiles    []string `json:"GoFiles"`
	Imports    []string `json:"Imports"`
	Deps       []string `json:"Deps"`
}

// list returns the packages of this module without their tests, as the go command sees them.
func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports,Deps", "./...").Output()
	require.NoError(t, err)
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
	require.Greater(t, len(packages), 10)
	return packages
}

// TestHeavyDependenciesStayOut: importing any package of this module brings no
// server and no test library with it.
func TestHeavyDependenciesStayOut(t *testing.T) {
	t.Parallel()
	heavy := []string{
		"github.com/nats-io/nats-server/", "github.com/nats-io/nats-streaming-server/",
		"github.com/stretchr/", "go.uber.org/goleak", "go.opentelemetry.io/",
	}
	mayTest := []string{module + "/eventtest", module + "/transport/transporttest"}
	for _, p := range list(t) {
		for _, dep := range p.Deps {
			for _, h := range heavy {
				require.False(t, strings.HasPrefix(dep, h), "%s depends on %s", p.ImportPath, dep)
			}
			if !slices.Contains(mayTest, p.ImportPath) {
				require.NotEqual(t, "testing", dep, "%s depends on package testing", p.ImportPath)
			}
		}
	}
}

// TestArrows holds the imports among the packages against an exact list: those inside of
// listener and transport, too. A new arrow is a decision.
func TestArrows(t *testing.T) {
	t.Parallel()
	may := map[string][]string{
		"subjects": {},
		"events":   {"subjects"},
		"codec":    {},
		"observe":  {"subjects"},
		"client": {
			"subjects", "observe", "transport", "transport/jetstream", "transport/stan", "internal/access",
			"internal/await", "internal/backoff", "internal/eventlog", "internal/observing", "internal/option",
			"internal/plural", "internal/session", "internal/together",
		},
		"publisher": {
			"subjects", "events", "codec", "observe", "client", "transport", "internal/access", "internal/cloudevents",
			"internal/eventtype", "internal/fifo", "internal/option", "internal/publishing", "internal/session",
		},
		"listener": {
			"subjects", "events", "codec", "observe", "client", "listener/internal/schedule",
			"listener/internal/versions", "transport", "internal/access", "internal/await", "internal/backoff",
			"internal/cloudevents", "internal/eventtype", "internal/observing", "internal/option", "internal/plural",
			"internal/session", "internal/together",
		},
		"listener/internal/schedule": {"events", "observe", "transport", "internal/backoff", "internal/fifo"},
		"listener/internal/versions": {"internal/await", "internal/backoff"},
		"deadletter": {
			"subjects", "events", "codec", "observe", "client", "listener", "transport", "internal/access",
			"internal/await", "internal/option", "internal/publishing", "internal/session",
		},
		"eventtest": {
			"events", "codec", "observe", "client", "listener", "transport", "transport/memory", "internal/eventtype",
			"internal/option", "internal/plural",
		},
		"transport":                    {},
		"transport/internal/lifecycle": {},
		"transport/internal/natsconn":  {"transport", "internal/await", "internal/backoff", "internal/eventlog"},
		"transport/internal/outbox":    {"transport", "internal/await", "internal/fifo", "internal/plural"},
		"transport/internal/unproven":  {},
		"transport/jetstream": {
			"transport", "transport/internal/lifecycle", "transport/internal/natsconn", "transport/internal/outbox",
			"transport/jetstream/internal/consuming", "internal/await", "internal/backoff", "internal/option",
		},
		"transport/jetstream/internal/consuming": {"transport", "transport/internal/unproven"},
		"transport/memory":                       {"transport", "transport/internal/outbox", "internal/option"},
		"transport/stan": {
			"subjects", "transport", "transport/internal/lifecycle", "transport/internal/natsconn",
			"transport/internal/outbox", "transport/internal/unproven", "internal/await", "internal/backoff", "internal/eventlog", "internal/option",
		},
		"transport/transporttest": {"transport"},
		"internal/access":         {"internal/session"},
		"internal/await":          {},
		"internal/backoff":        {},
		"internal/cloudevents":    {},
		"internal/eventlog":       {"transport"},
		"internal/eventtype":      {"subjects", "events", "codec", "transport"},
		"internal/fakeconn":       {"transport"},
		"internal/fifo":           {},
		"internal/observing":      {"observe"},
		"internal/option":         {},
		"internal/plural":         {},
		"internal/publishing":     {"subjects", "observe", "transport", "internal/await", "internal/observing"},
		"internal/seeds":          {},
		"internal/session":        {"observe", "transport", "internal/await", "internal/plural", "internal/publishing"},
		"internal/together":       {},
	}
	for _, p := range list(t) {
		name, below := strings.CutPrefix(p.ImportPath, module+"/")
		if !below {
			continue // the root folder holds tests alone
		}
		if strings.HasPrefix(name, "examples") || strings.HasPrefix(name, "cmd") {
			continue // may use anything that services may
		}
		allowed, known := may[name]
		require.True(t, known, "package %s is not in the picture", name)
		for _, imported := range p.Imports {
			if inner, ours := strings.CutPrefix(imported, module+"/"); ours {
				require.Contains(t, allowed, inner, "%s imports %s", name, inner)
			}
		}
	}
}

// within reports whether a package is one of these folders, or in one of them.
func within(name string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") })
}

// TestNothingImportsUpward: what a room reaches, directly or not, is not above it.
func TestNothingImportsUpward(t *testing.T) {
	t.Parallel()
	services := []string{"client", "publisher", "listener", "deadletter", "eventtest", "examples", "cmd"}
	shared := []string{"internal/access", "internal/session", "internal/publishing", "internal/eventtype", "observe", "events", "codec"}
	brokers := []string{"transport/jetstream", "transport/memory", "transport/stan", "transport/transporttest"}
	programs := []string{"eventtest", "examples", "cmd"}
	leaves := []string{"subjects", "codec", "internal/await", "internal/backoff", "internal/fifo", "internal/option", "internal/seeds", "internal/together"}
	rules := []struct{ rooms, above []string }{
		{[]string{"transport"}, slices.Concat(services, shared)},
		{[]string{"transport/internal"}, brokers},
		{[]string{"listener/internal"}, slices.Concat(services, brokers, []string{"internal/access", "internal/session", "internal/publishing"})},
		{[]string{"internal"}, slices.Concat(services, brokers)},
		{[]string{"observe", "events", "codec"}, slices.Concat(services, []string{"internal", "transport"})},
		{[]string{"client"}, slices.Concat(services[1:], []string{"events", "codec"})},
		{[]string{"publisher"}, slices.Concat([]string{"listener", "deadletter"}, programs)},
		{[]string{"listener"}, slices.Concat([]string{"publisher", "deadletter"}, programs)},
		{[]string{"deadletter"}, slices.Concat([]string{"publisher"}, programs)},
		{[]string{"eventtest"}, []string{"publisher", "deadletter", "examples", "cmd"}},
	}
	held := 0
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, dep := range p.Deps {
			reached, ours := strings.CutPrefix(dep, module+"/")
			if !ours {
				continue
			}
			for _, rule := range rules {
				if within(name, rule.rooms...) && !within(reached, rule.rooms...) {
					held++
					require.False(t, within(reached, rule.above...), "%s reaches %s, which is above it", name, reached)
				}
			}
			require.False(t, within(name, leaves...), "%s reaches %s, and is to know nothing of this module", name, reached)
			// A shell imports what it is around, never the other way round. Package transport is no
			// shell: what the transports share knows it.
			if whole, _, part := strings.Cut(name, "/internal/"); part && whole != "transport" {
				require.NotEqual(t, whole, reached, "%s reaches the package that it is a part of", name)
			}
		}
	}
	require.Greater(t, held, 30)
}

// mostLines is how long a production file may be: what is longer holds two concepts.
const mostLines = 500

// TestFilesAreShort holds the production files of all modules to that.
func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "bin"}, entry.Name())):
			return fs.SkipDir
		case entry.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		seen++
		require.LessOrEqual(t, bytes.Count(text, []byte("\n")), mostLines, "%s has too many lines: one concept a file", name)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 200)
}

// fileName is the name of a file as DESIGN.md has it.
var fileName = regexp.MustCompile(`[\w./-]+\.(go|md)\b`)

// drawn returns the first drawing in a section of DESIGN.md.
func drawn(t *testing.T, design, section string) string {
	t.Helper()
	_, rest, found := strings.Cut(design, "\n## "+section+"\n")
	require.True(t, found, "DESIGN.md has no section %q", section)
	text, _, _ := strings.Cut(rest, "\n## ")
	_, drawing, found := strings.Cut(text, "\n```\n")
	require.True(t, found, "section %q of DESIGN.md has no drawing", section)
	drawing, _, found = strings.Cut(drawing, "\n```\n")
	require.True(t, found)
	return drawing
}

// TestPicture holds DESIGN.md's arrows against the tree: a package imports packages of
// the lines below its own, or the one that an arrow in its own line points to.
func TestPicture(t *testing.T) {
	t.Parallel()
	design, err := os.ReadFile("DESIGN.md")
	require.NoError(t, err)
	line, pointsTo := make(map[string]int), make(map[string]string)
	for i, text := range strings.Split(drawn(t, string(design), "Arrows"), "\n") {
		before, arrow := "", false
		for name := range strings.FieldsSeq(text) {
			if name == "->" {
				arrow = true
				continue
			}
			require.DirExists(t, name)
			line[name] = i
			if arrow {
				pointsTo[before] = name
			}
			before, arrow = name, false
		}
	}
	for _, p := range list(t) {
		name, below := strings.CutPrefix(p.ImportPath, module+"/")
		if !below {
			continue // the root folder holds tests alone
		}
		require.Contains(t, line, name, "in the picture of DESIGN.md")
		for _, imported := range p.Imports {
			if inner, ours := strings.CutPrefix(imported, module+"/"); ours && pointsTo[name] != inner {
				require.Greater(t, line[inner], line[name], "%s imports %s, which is not below it in the picture of DESIGN.md", name, inner)
			}
		}
	}
}

// TestMap holds DESIGN.md's map against the tree: each package of this module has its
// line, each file that is named is there, and each production file is named.
func TestMap(t *testing.T) {
	t.Parallel()
	design, err := os.ReadFile("DESIGN.md")
	require.NoError(t, err)
	drawing := drawn(t, string(design), "Map")

	folders, files := make(map[string]bool), make(map[string]bool)
	folder := ""
	for line := range strings.Lines(drawing) {
		if name := strings.Fields(line); len(name) > 0 && !strings.HasPrefix(line, " ") {
			folder = strings.TrimSuffix(name[0], "/")
			require.DirExists(t, folder)
			folders[folder] = true
			continue
		}
		for name := range strings.FieldsSeq(line) {
			if fileName.FindString(name) != name {
				break // what the files are for
			}
			name = path.Join(folder, name)
			require.FileExists(t, name, "on the map, in the line %q", strings.TrimSpace(line))
			files[name] = true
		}
	}
	for _, p := range list(t) {
		name, below := strings.CutPrefix(p.ImportPath, module+"/")
		if !below {
			continue
		}
		require.True(t, folders[name], "package %s is not on the map of DESIGN.md", name)
		for _, file := range p.GoFiles {
			require.True(t, file == "doc.go" || files[path.Join(name, file)], "%s is not on the map of DESIGN.md", path.Join(name, file))
		}
	}
	for _, name := range fileName.FindAllString(strings.Replace(string(design), drawing, "", 1), -1) {
		if room, _, in := strings.Cut(name, "/"); in && folders[room] || room == "devserver" || room == "internal" {
			require.FileExists(t, name, "named in DESIGN.md")
		}
	}
}
