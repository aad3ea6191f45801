//go:build node

package node_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if _, err := os.Stat("node_modules/node-nats-streaming"); err != nil {
		fmt.Fprintln(os.Stderr, "node-nats-streaming is not installed; run install.sh:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
