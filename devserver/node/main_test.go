//go:build node

package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// The NATS server counts who needs its clock of access times, one for the process, and it
// was once seen to keep it after all servers had ended.
var accessTimes = goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")

func TestMain(m *testing.M) {
	for _, name := range []string{"node-nats-streaming", "@nats-io/jetstream", "@nats-io/transport-node"} {
		if _, err := os.Stat(filepath.Join("node_modules", name)); err != nil {
			fmt.Fprintln(os.Stderr, name+" is not installed; run install.sh:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, accessTimes)
}
