package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server builds the server program and returns its path.
func server(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	require.NoError(t, buildServer(t.Context(), program, "../../devserver"))
	return program
}
