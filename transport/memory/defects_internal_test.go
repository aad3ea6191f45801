package memory

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/transporttest"
)

// found names, for each defect, the case of the suite that has to find it.
var found = map[defect]string{
	acceptsOversize:        "oversize payloads are refused",
	acknowledgesAfterClose: "acknowledging after close",
	acknowledgesEarly:      "an unacknowledged message is not lost with its subscription",
	countsNoDeliveries:     "redelivery after the ack wait, counted",
	cutsPayloads:           "large and empty payloads",
	deliversAfterStop:      "drain: stop, acknowledge, close",
	forgetsBacklog:         "what waits at the broker",
	forgetsDurable:         "close keeps the durable",
	ignoresAcks:            "an acknowledged message does not come again",
	ignoresInProgress:      "extending the ack wait",
	ignoresMaxInFlight:     "max in flight",
	ignoresMessageID:       "deduplication by message ID",
	ignoresNakDelay:        "negative acknowledgement with a delay",
	ignoresPosition:        "start at new only",
	keepsDeletedDurable:    "delete drops the durable",
	losesHeaders:           "headers",
	losesReleased:          "a released message comes again after its ack wait",
	mixesGroups:            "two groups are independent",
	neverRedelivers:        "redelivery after the ack wait, counted",
	redeliversReleased:     "a released message comes again after its ack wait",
	refusesReleased:        "a released message can still be acknowledged",
	sharesNothing:          "members of a group share",
	shufflesReplay:         "replay in order",
}

const defectVariable = "MEMORY_DEFECT"

// TestTheSuiteHasTeeth runs the case that has to find a defect against a broker
// that has it, in a process of its own since it has to fail, and asserts that it
// does.
func TestTheSuiteHasTeeth(t *testing.T) {
	t.Parallel()
	if os.Getenv(defectVariable) != "" {
		t.Skip("this is the process with a defect")
	}
	require.Len(t, found, int(shufflesReplay), "each defect has its case")
	for d, name := range found {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subtest := strings.ReplaceAll(name, " ", "_")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout", "60s",
				"-test.run", "^TestWithDefect$/^"+regexp.QuoteMeta(subtest)+"$")
			cmd.Env = append(os.Environ(), defectVariable+"="+strconv.Itoa(int(d)))
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes with the defect")
			failed := strings.Split(string(out), "\n")
			require.True(t, slices.ContainsFunc(failed, func(line string) bool {
				return strings.Contains(line, "--- FAIL: TestWithDefect/"+subtest+" (")
			}), "the case did not fail:\n%s", out)
		})
	}
}

// TestWithDefect is the suite that TestTheSuiteHasTeeth runs.
func TestWithDefect(t *testing.T) {
	number, err := strconv.Atoi(os.Getenv(defectVariable))
	if err != nil {
		t.Skip("run by TestTheSuiteHasTeeth, with a defect")
	}
	h := harness(jetStream, JetStream(), func(o *options) error { o.defect = defect(number); return nil })
	h.Around = synctest.Test
	transporttest.Run(t, h)
}
