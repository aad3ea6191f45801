package common_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// runMake runs make with stand-ins for go and docker before all else in the PATH. That of go
// prints what it is called for and fails, but for questions about its settings; that of
// docker is one without an engine.
func runMake(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	bin := t.TempDir()
	for name, script := range map[string]string{
		"go":     "#!/bin/sh\n[ \"$1\" = env ] && { echo cc; exit; }\necho \"go is called: $*\"\nexit 1\n",
		"docker": "#!/bin/sh\nexit 1\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700))
	}
	cmd := exec.CommandContext(t.Context(), "make", args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"CI=", "INSTALL_DOCKER=", "DOCKER_HOST=", "MAKEFLAGS=", "MAKELEVEL=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestMakeSaysThatItBuilds before it does, and what is compiled.
func TestMakeSaysThatItBuilds(t *testing.T) {
	t.Parallel()
	for target, command := range map[string]string{"demo": "demo", "demo-jetstream": "demo", "server": "server"} {
		out, err := runMake(t, target)
		require.Error(t, err)
		require.Regexp(t, `^building bin/`+command+`: the first time .* takes a minute or two\ngo is called: build -v .* ./cmd/`+command+`\n`, out)
	}
}

// TestMakeAsksForTheEngineFirst: test-docker builds nothing where no docker engine answers.
func TestMakeAsksForTheEngineFirst(t *testing.T) {
	t.Parallel()
	out, err := runMake(t, "test-docker")
	require.Error(t, err)
	require.Contains(t, out, "no docker engine with compose answers: start one")
	require.NotContains(t, out, "go is called")
}

// TestMakeHelp names all targets but those that only others need.
func TestMakeHelp(t *testing.T) {
	t.Parallel()
	out, err := runMake(t, "help")
	require.NoError(t, err, out)
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindSubmatch(makefile)
	require.NotNil(t, phony)
	for target := range strings.FieldsSeq(string(phony[1])) {
		if target != "race-mode" {
			require.Regexp(t, `(?m)^`+target+` +\S`, out)
		}
	}
}
