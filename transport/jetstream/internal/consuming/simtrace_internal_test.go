package consuming

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simTrace is what the real server did, step by step. Module devserver records it, and
// holds it to the real server (its simtrace).
type simTrace struct {
	Name       string `json:"name"`
	MaxPending int    `json:"maxPending"`
	MaxBatch   int    `json:"maxBatch"`
	Steps      []struct {
		Do       string   `json:"do"` // see the switch below
		Inbox    string   `json:"inbox"`
		Batch    int      `json:"batch"`
		Expires  int      `json:"expires"` // all times are in milliseconds
		Beat     int      `json:"beat"`
		NoWait   bool     `json:"noWait"`
		Sequence uint64   `json:"sequence"`
		First    bool     `json:"first"` // of the deliveries of the message, the first is answered, not the last
		Delay    int      `json:"delay"`
		Wait     int      `json:"wait"` // how long the step lasts, beyond the shortest
		Got      []string `json:"got"`  // what was sent, by inbox
	} `json:"steps"`
}

// shortestStep is how long a step lasts at least.
const shortestStep = 150 * time.Millisecond

// TestTheSimulatedServerIsTheRealOne as far as the traces go.
func TestTheSimulatedServerIsTheRealOne(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/server.json")
	require.NoError(t, err)
	var traces []simTrace
	require.NoError(t, json.Unmarshal(data, &traces))
	require.Greater(t, len(traces), 10)
	for _, trace := range traces {
		t.Run(trace.Name, func(t *testing.T) {
			t.Parallel()
			trace.play(t)
		})
	}
}

func (trace simTrace) play(t *testing.T) {
	t.Helper()
	open := make(map[string]bool)
	got := make(map[string][]string) // by inbox
	replies := make(map[uint64][]string)
	s := &simServer{now: simBegin, interest: func(inbox string) bool { return open[inbox] }}
	s.send = func(inbox string, a simAnswer) {
		if open[inbox] {
			got[inbox] = append(got[inbox], inbox+": "+a.String())
		}
		if a.status == "" {
			replies[a.msg.Sequence] = append(replies[a.msg.Sequence], a.msg.Reply)
		}
	}
	create := func(from uint64) {
		s.createConsumer(from, time.Second, trace.MaxPending)
		s.consumer().maxBatch = trace.MaxBatch
	}
	s.createStream()
	create(0)
	for i, step := range trace.Steps {
		settle := func(answer string) {
			all := replies[step.Sequence]
			require.NotEmpty(t, all, "step %d", i)
			reply := all[len(all)-1]
			if step.First {
				reply = all[0]
			}
			s.settle(reply, answer, time.Duration(step.Delay)*time.Millisecond)
		}
		switch step.Do {
		case "pull":
			open[step.Inbox] = true
			r := &simRequest{inbox: step.Inbox, lacking: step.Batch, noWait: step.NoWait, beat: time.Duration(step.Beat) * time.Millisecond}
			if step.Expires > 0 {
				r.expires = s.now.Add(time.Duration(step.Expires) * time.Millisecond)
			}
			s.pull(r)
		case "close":
			delete(open, step.Inbox)
		case "publish":
			for range step.Batch {
				s.publish()
			}
		case "ack":
			settle("+ACK")
		case "nak":
			settle("-NAK")
		case "progress":
			settle("+WPI")
		case "term":
			settle("+TERM")
		case "purge": // what is below
			s.purge(step.Sequence)
		case "delete consumer":
			s.deleteConsumer()
		case "create consumer":
			create(step.Sequence)
		case "delete stream":
			s.deleteStream()
		case "create stream":
			s.createStream()
		case "change leader":
			s.changeLeader()
		case "info":
			info := s.info()
			got[""] = []string{fmt.Sprintf("floor %d, delivered %d, deliveries %d", info.AckFloor, info.Delivered, info.Deliveries)}
		case "wait":
		default:
			require.Fail(t, "no such step", step.Do)
		}
		until := s.now.Add(shortestStep + time.Duration(step.Wait)*time.Millisecond)
		for due := s.due(); !due.IsZero() && !due.After(until); due = s.due() {
			s.now = due
			s.tick()
		}
		s.now = until
		var all []string
		for _, inbox := range slices.Sorted(maps.Keys(got)) {
			all = append(all, got[inbox]...)
		}
		clear(got)
		require.Equal(t, step.Got, all, "step %d, %s %s", i, step.Do, step.Inbox)
	}
}
