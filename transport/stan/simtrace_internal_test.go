package stan

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// trace is what the real server did, step by step. Module devserver records it, and
// holds it to the real server (its simtrace).
type trace struct {
	Name  string `json:"name"`
	Steps []struct {
		Do       string   `json:"do"` // see the switch below
		Member   string   `json:"member"`
		Client   string   `json:"client"`
		Window   int      `json:"window"`
		Sequence uint64   `json:"sequence"`
		Few      bool     `json:"few"` // the counts are low, and how low is a matter of chance
		Got      []string `json:"got"` // what was sent: to whom, which event, how often it was before
	} `json:"steps"`
}

// TestTheSimulatedServerIsTheRealOne as far as the traces go.
func TestTheSimulatedServerIsTheRealOne(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/server.json")
	require.NoError(t, err)
	var traces []trace
	require.NoError(t, json.Unmarshal(data, &traces))
	require.NotEmpty(t, traces)
	for _, trace := range traces {
		t.Run(trace.Name, func(t *testing.T) {
			t.Parallel()
			var got []string
			few := false
			s := newSimServer(func(sub *simSub, d simDelivery) {
				again := strconv.Itoa(d.redelivered)
				if few && d.redelivered < 3 {
					again = "few"
				}
				got = append(got, fmt.Sprintf("%s: event %d, again %s", sub.inbox, d.sequence, again))
			})
			subs := make(map[string]*simSub)
			for i, step := range trace.Steps {
				got, few = nil, step.Few
				switch step.Do {
				case "join": // as that client, who connects for it
					s.register(step.Client, step.Member)
					sub, err := s.join(simJoin{client: step.Client, inbox: step.Member, durable: "d", group: "g", window: step.Window})
					require.NoError(t, err)
					subs[step.Member] = sub
					s.begin(sub)
				case "publish": // by another client
					s.clients["publisher"] = "publisher"
					require.NoError(t, s.publish("publisher", "publisher", "event"))
				case "ack":
					s.ack(subs[step.Member], step.Sequence)
				case "close":
					require.NoError(t, s.closeSub(step.Member))
				case "end": // the client of that member sends a close request
					require.NoError(t, s.closeClient(trace.clientOf(step.Member)))
				case "wait": // until the ack wait of all has passed
					s.expireAll()
				case "restart": // and wait
					s.restart()
					s.expireAll()
				case "freeze", "thaw": // a client, which is found out when another takes its place
				default:
					require.Fail(t, "no such step", step.Do)
				}
				slices.Sort(got)
				require.Equal(t, slices.Sorted(slices.Values(step.Got)), got, "step %d, %s %s", i, step.Do, step.Member)
			}
		})
	}
}

func (t trace) clientOf(member string) string {
	for _, step := range t.Steps {
		if step.Do == "join" && step.Member == member {
			return step.Client
		}
	}
	return ""
}
