// Package common_test holds what is true of the module as a whole.
package common_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sgtickets/common"

type goPackage struct {
	ImportPath string   `json:"ImportPath"`
	Imports    []string `json:"Imports"`
	Deps       []string `json:"Deps"`
}

// list returns the packages of this module without their tests, as the go command sees them.
func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
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

// TestArrows holds the imports among the packages against DESIGN.md's picture.
func TestArrows(t *testing.T) {
	t.Parallel()
	may := map[string][]string{
		"subjects": {},
		"events":   {"subjects"},
		"codec":    {},
		"observe":  {"subjects"},
		"client": {
			"subjects", "observe", "transport", "transport/jetstream", "transport/stan", "internal/access",
			"internal/await", "internal/backoff", "internal/eventlog", "internal/option", "internal/plural",
			"internal/session", "internal/together",
		},
		"publisher": {
			"subjects", "events", "codec", "observe", "client", "transport", "internal/access", "internal/eventtype",
			"internal/fifo", "internal/option", "internal/publishing", "internal/session",
		},
		"listener": {
			"subjects", "events", "codec", "observe", "client", "listener/internal/schedule",
			"listener/internal/versions", "transport", "internal/access", "internal/await", "internal/backoff",
			"internal/eventtype", "internal/plural", "internal/session", "internal/together",
		},
		"listener/internal/schedule": {"events", "observe", "transport", "internal/fifo"},
		"listener/internal/versions": {"internal/await", "internal/backoff"},
		"deadletter": {
			"subjects", "events", "codec", "observe", "client", "listener", "transport", "internal/access",
			"internal/await", "internal/option", "internal/publishing", "internal/session",
		},
		"eventtest": {
			"events", "codec", "observe", "client", "listener", "transport", "transport/memory", "internal/eventtype",
			"internal/option",
		},
		"transport":                    {},
		"transport/internal/lifecycle": {},
		"transport/internal/natsconn":  {"transport", "internal/await", "internal/backoff", "internal/eventlog"},
		"transport/internal/outbox":    {"transport", "internal/await", "internal/fifo", "internal/plural"},
		"transport/jetstream": {
			"transport", "transport/internal/lifecycle", "transport/internal/natsconn", "transport/internal/outbox",
			"transport/jetstream/internal/consuming", "internal/await", "internal/option",
		},
		"transport/jetstream/internal/consuming": {"transport"},
		"transport/memory":                       {"transport", "transport/internal/outbox", "internal/option"},
		"transport/stan": {
			"subjects", "transport", "transport/internal/lifecycle", "transport/internal/natsconn",
			"transport/internal/outbox", "internal/await", "internal/eventlog", "internal/option",
		},
		"transport/transporttest": {"transport"},
		"internal/access":         {"internal/session"},
		"internal/await":          {},
		"internal/backoff":        {},
		"internal/eventlog":       {"transport"},
		"internal/eventtype":      {"subjects", "events", "codec", "transport"},
		"internal/fakeconn":       {"transport"},
		"internal/fifo":           {},
		"internal/option":         {},
		"internal/plural":         {},
		"internal/publishing":     {"subjects", "observe", "transport", "internal/await"},
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
