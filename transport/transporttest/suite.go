package transporttest

import (
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
)

// Harness is a way to make the transport under test.
type Harness struct {
	// Open returns the dialer for one case. It may be the same broker for all of
	// them: each case uses subjects and names of its own.
	Open func(t *testing.T) transport.Dialer
	// Features are those that the transport declares, and that the suite holds it to.
	Features transport.Features
	// ClusterID and URL are handed to the dialer.
	ClusterID, URL string
	// AckWait is that of the cases that wait for one to pass. Default 1 s.
	AckWait time.Duration
	// MaxPayload is what the broker takes at least, in bytes. Default 1000000. More
	// than eight times as much it must refuse.
	MaxPayload int
	// Parallel runs the cases beside one another, where waiting takes real time.
	Parallel bool
	// Around, unless it is nil, runs each case, such as testing/synctest.Test for
	// a transport that takes its time from package time.
	Around func(t *testing.T, run func(t *testing.T))
}

// A testCase is one thing that a transport has to do.
type testCase struct {
	name string
	run  func(c *check)
}

// Run runs the suite, each case as a subtest, and logs how many there were.
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
	for _, group := range [][]testCase{publishCases, positionCases, queueCases, settleCases, featureCases, lifeCases} {
		for _, tc := range group {
			ran++
			t.Run(tc.name, func(t *testing.T) {
				if h.Parallel {
					t.Parallel()
				}
				h.Around(t, func(t *testing.T) {
					t.Helper()
					tc.run(newCheck(t, h))
				})
			})
		}
	}
	t.Logf("%d conformance cases ran", ran)
}
