package common_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMisuseDoesNotCompile builds the programs in testdata/misuse, each of which
// makes one mistake, and asserts that the compiler says what the program's
// comment says, and nothing else.
func TestMisuseDoesNotCompile(t *testing.T) {
	t.Parallel()
	programs, err := filepath.Glob("testdata/misuse/*.go")
	require.NoError(t, err)
	require.Len(t, programs, 7)
	for _, program := range programs {
		t.Run(filepath.Base(program), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(program)
			require.NoError(t, err)
			_, comment, found := strings.Cut(string(source), " // ")
			require.True(t, found)
			expected, _, _ := strings.Cut(comment, "\n")

			out, err := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, program).CombinedOutput()
			require.Error(t, err, "it compiles")
			require.Contains(t, string(out), expected)
			require.Equal(t, 1, strings.Count(string(out), program+":"), "one mistake:\n%s", out)
		})
	}
}
