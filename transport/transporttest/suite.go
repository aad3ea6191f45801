package transporttest

import (
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
)

// Harness says how to reach the transport under test, and what to expect of it.
type Harness struct {
	// Open returns the dialer for one case. All cases may share a broker: each case uses
	// its own subjects and names.
	Open func(t *testing.T) transport.Dialer
	// Features are the features that the transport must declare and provide.
	Features transport.Features
	// ClusterID and URL are passed to the dialer. ClusterID is "conformance" by default.
	ClusterID, URL string
	// AckWait is the ack wait of the cases that wait until it has passed. Default 1 s.
	AckWait time.Duration
	// MaxPayload is a payload size, in bytes, that the broker must accept. The broker must
	// refuse nine times as much. Default 1000000.
	MaxPayload int
	// Parallel runs the cases in parallel, which saves time where waiting takes real time.
	Parallel bool
	// Around, unless it is nil, is called to run each case. A transport that takes its
	// time from package time sets it to testing/synctest.Test.
	Around func(t *testing.T, run func(t *testing.T))
}

// testCase is one thing that a transport has to do.
type testCase struct {
	name string
	run  func(c *caseRun)
}

// Run runs the suite, each case as a subtest, and logs the number of cases.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.AckWait == 0 {
		h.AckWait = time.Second
	}
	if h.MaxPayload == 0 {
		h.MaxPayload = 1_000_000
	}
	if h.Around == nil {
		h.Around = func(t *testing.T, run func(*testing.T)) { t.Helper(); run(t) }
	}
	ran := 0
	for _, group := range [][]testCase{publishCases, positionCases, queueCases, settleCases, releaseCases, featureCases, lifeCases} {
		for _, tc := range group {
			ran++
			t.Run(tc.name, func(t *testing.T) {
				if h.Parallel {
					t.Parallel()
				}
				h.Around(t, func(t *testing.T) {
					t.Helper()
					tc.run(newCaseRun(t, h))
				})
			})
		}
	}
	t.Logf("%d conformance cases ran", ran)
}
