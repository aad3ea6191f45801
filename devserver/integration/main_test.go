// Package integration_test holds the tests of the library against a real server:
// the embedded one, or the one that NATS_URL names.
package integration_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sgtickets/common/devserver"
)

// The NATS server counts who needs its clock of access times, one for the process, and it
// was once seen to keep it after all servers had ended.
var accessTimes = goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")

// server is what all tests share that need no server of their own.
var server target

// jetServer is the same for the tests of JetStream.
var jetServer target

// target is a running server.
type target struct {
	clusterID string
	url       string
	monitor   string // URL of its monitoring; empty: unknown
	embedded  bool
}

func TestMain(m *testing.M) {
	flag.Parse()
	if config := os.Getenv(asRedrive); config != "" {
		os.Exit(redriveAsChild(config))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// The tests wait most of the time, also on a machine of two processors. More of them
	// would make one another late, since they share a server in this process.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if url := os.Getenv("NATS_URL"); url != "" {
		server = target{clusterID: os.Getenv("NATS_CLUSTER_ID"), url: url, monitor: os.Getenv("NATS_MONITOR_URL")}
		if server.clusterID == "" {
			server.clusterID = "ticketing"
		}
		return withJetStream(m.Run)
	}
	// Each test has channels of its own, and -count runs each several times.
	s, err := devserver.Start(devserver.MonitorPort(0), devserver.MaxChannels(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server = target{clusterID: s.ClusterID(), url: s.URL(), monitor: s.MonitorURL(), embedded: true}
	jetServer = server
	code := m.Run()
	s.Shutdown()
	return verify(code)
}

// withJetStream runs the tests with an embedded server for those of JetStream: the
// one that NATS_URL names is a NATS Streaming server.
func withJetStream(run func() int) int {
	s, err := devserver.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	jetServer = target{clusterID: s.ClusterID(), url: s.URL(), embedded: true}
	code := run()
	s.Shutdown()
	return verify(code)
}

// verify fails a run that passed when it left goroutines behind.
func verify(code int) int {
	if code != 0 {
		return code
	}
	if err := goleak.Find(accessTimes); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines were left behind:", err)
		return 1
	}
	return 0
}
