//go:build node

package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"node-nats-streaming", "@nats-io/jetstream", "@nats-io/transport-node"} {
		if _, err := os.Stat(filepath.Join("node_modules", name)); err != nil {
			fmt.Fprintln(os.Stderr, name+" is not installed; run install.sh:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}
