package simtrace_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

const jetStreamFile = "../../transport/jetstream/internal/consuming/testdata/server.json"

// jetStreamTrace is what a JetStream server does with one stream and one consumer, whose ack wait
// is a second.
type jetStreamTrace struct {
	Name       string           `json:"name"`
	Cluster    bool             `json:"cluster,omitempty"`
	MaxPending int              `json:"maxPending,omitempty"`
	MaxBatch   int              `json:"maxBatch,omitempty"`
	Steps      []*jetStreamStep `json:"steps"`
}

// jetStreamStep lasts a little, and Wait more, in milliseconds as are the other times.
type jetStreamStep struct {
	Do       string   `json:"do"`
	Inbox    string   `json:"inbox,omitempty"`
	Batch    int      `json:"batch,omitempty"`
	Expires  int      `json:"expires,omitempty"`
	Beat     int      `json:"beat,omitempty"`
	NoWait   bool     `json:"noWait,omitempty"`
	Sequence uint64   `json:"sequence,omitempty"`
	First    bool     `json:"first,omitempty"`
	Delay    int      `json:"delay,omitempty"`
	Wait     int      `json:"wait,omitempty"`
	Got      []string `json:"got,omitempty"`
}

const shortestStep = 150 * time.Millisecond

// TestJetStreamTracesAreTheRealServers does not run beside the other traces: both go by the clock.
func TestJetStreamTracesAreTheRealServers(t *testing.T) { //nolint:tparallel // see above
	data, err := os.ReadFile(jetStreamFile)
	require.NoError(t, err)
	var traces []*jetStreamTrace
	require.NoError(t, json.Unmarshal(data, &traces))
	if os.Getenv("RECORD") != "" {
		t.Cleanup(func() {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			e.SetIndent("", " ")
			require.NoError(t, e.Encode(traces))
			require.NoError(t, os.WriteFile(jetStreamFile, out.Bytes(), 0o600))
		})
	}
	server, err := devserver.Start(devserver.StoreDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	for i, trace := range traces {
		t.Run(trace.Name, func(t *testing.T) {
			t.Parallel()
			url, replicas := server.URL(), 1
			if trace.Cluster && !elections {
				t.Skip("it takes elections: make test-cluster")
			}
			if trace.Cluster {
				cluster, err := devserver.StartJetStreamCluster()
				require.NoError(t, err)
				t.Cleanup(cluster.Shutdown)
				url, replicas = cluster.URL(), 3
			}
			// Steps go by the clock. A play during which the machine was too busy to keep to it
			// says nothing; one that kept to it has to be as recorded.
			for again := range plays {
				different, late := trace.play(t, url, fmt.Sprintf("trace-%d-%d", i, again), replicas)
				if different == "" {
					return
				}
				require.Greater(t, late, tolerated, different)
				t.Logf("play %d was %v late: %s", again+1, late, different)
			}
			require.Failf(t, "the machine was too busy", "no play of %d kept to the clock within %v", plays, tolerated)
		})
	}
}

const (
	// tolerated is how late a step may be taken before the play says nothing.
	tolerated = 50 * time.Millisecond
	// plays is how often a trace is played at most.
	plays = 10
)

// jetStreamPlay is one trace being played.
type jetStreamPlay struct {
	trace    *jetStreamTrace
	name     string
	replicas int
	nc       *nats.Conn
	api      js.JetStream
	inboxes  map[string]*nats.Subscription

	mu      sync.Mutex
	got     map[string][]string
	replies map[uint64][]string
}

// play takes the steps, and returns what was different, and how late it was at most.
func (trace *jetStreamTrace) play(t *testing.T, url, name string, replicas int) (different string, late time.Duration) {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	api, err := js.New(nc)
	require.NoError(t, err)
	p := &jetStreamPlay{
		trace: trace, name: name, replicas: replicas, nc: nc, api: api,
		inboxes: make(map[string]*nats.Subscription), got: make(map[string][]string), replies: make(map[uint64][]string),
	}
	p.createStream(t)
	p.createConsumer(t, 0)
	for i, s := range trace.Steps {
		until := time.Now().Add(shortestStep + time.Duration(s.Wait)*time.Millisecond)
		p.take(t, s)
		time.Sleep(time.Until(until))
		late = max(late, time.Since(until))
		p.mu.Lock()
		var all []string
		for _, inbox := range slices.Sorted(maps.Keys(p.got)) {
			all = append(all, p.got[inbox]...)
		}
		clear(p.got)
		p.mu.Unlock()
		if os.Getenv("RECORD") != "" {
			s.Got = all
		}
		if !slices.Equal(s.Got, all) {
			return fmt.Sprintf("step %d, %s %s: %q, not %q", i, s.Do, s.Inbox, all, s.Got), late
		}
	}
	return "", late
}

func (p *jetStreamPlay) createStream(t *testing.T) {
	t.Helper()
	_, err := p.api.CreateStream(t.Context(), js.StreamConfig{Name: p.name, Subjects: []string{p.name + ".>"}, Replicas: p.replicas})
	require.NoError(t, err)
}

func (p *jetStreamPlay) createConsumer(t *testing.T, from uint64) {
	t.Helper()
	config := js.ConsumerConfig{
		Durable: "c", FilterSubject: p.name + ".a", AckPolicy: js.AckExplicitPolicy, AckWait: time.Second, MaxDeliver: -1,
		MaxAckPending: -1, MaxRequestBatch: p.trace.MaxBatch, DeliverPolicy: js.DeliverAllPolicy,
	}
	if p.trace.MaxPending > 0 {
		config.MaxAckPending = p.trace.MaxPending
	}
	if from > 0 {
		config.DeliverPolicy, config.OptStartSeq = js.DeliverByStartSequencePolicy, from
	}
	_, err := p.api.CreateConsumer(t.Context(), p.name, config)
	require.NoError(t, err)
}

// pull asks for messages.
func (p *jetStreamPlay) pull(t *testing.T, s *jetStreamStep) {
	t.Helper()
	if p.inboxes[s.Inbox] == nil {
		sub, err := p.nc.Subscribe(nats.NewInbox(), func(m *nats.Msg) { p.receive(s.Inbox, m) })
		require.NoError(t, err)
		p.inboxes[s.Inbox] = sub
	}
	request, err := json.Marshal(map[string]any{
		"batch": s.Batch, "expires": time.Duration(s.Expires) * time.Millisecond, "idle_heartbeat": time.Duration(s.Beat) * time.Millisecond, "no_wait": s.NoWait,
	})
	require.NoError(t, err)
	require.NoError(t, p.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.name+".c", p.inboxes[s.Inbox].Subject, request))
}

func (p *jetStreamPlay) receive(inbox string, m *nats.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.TrimSpace(m.Header.Get("Status") + " " + m.Header.Get("Description"))
	if lacking := m.Header.Get("Nats-Pending-Messages"); lacking != "" {
		text += ", " + lacking + " lacking"
	}
	if meta, err := m.Metadata(); err == nil {
		text = fmt.Sprintf("message %d, delivery %d of the consumer, %d of it", meta.Sequence.Stream, meta.Sequence.Consumer, meta.NumDelivered)
		p.replies[meta.Sequence.Stream] = append(p.replies[meta.Sequence.Stream], m.Reply)
	}
	p.got[inbox] = append(p.got[inbox], inbox+": "+text)
}

// settle answers a delivery.
func (p *jetStreamPlay) settle(t *testing.T, s *jetStreamStep, answer string) {
	t.Helper()
	p.mu.Lock()
	replies := p.replies[s.Sequence]
	p.mu.Unlock()
	if len(replies) == 0 {
		return // that it did not come in time was seen
	}
	reply := replies[len(replies)-1]
	if s.First {
		reply = replies[0]
	}
	if s.Delay > 0 {
		answer += fmt.Sprintf(` {"delay":%d}`, time.Duration(s.Delay)*time.Millisecond)
	}
	require.NoError(t, p.nc.Publish(reply, []byte(answer)))
}

// take takes a step.
func (p *jetStreamPlay) take(t *testing.T, s *jetStreamStep) {
	t.Helper()
	stream := func() js.Stream {
		stream, err := p.api.Stream(t.Context(), p.name)
		require.NoError(t, err)
		return stream
	}
	switch s.Do {
	case "pull":
		p.pull(t, s)
	case "close":
		require.NoError(t, p.inboxes[s.Inbox].Unsubscribe())
		delete(p.inboxes, s.Inbox)
	case "publish":
		for range s.Batch {
			_, err := p.api.Publish(t.Context(), p.name+".a", nil)
			require.NoError(t, err)
		}
	case "ack":
		p.settle(t, s, "+ACK")
	case "nak":
		p.settle(t, s, "-NAK")
	case "progress":
		p.settle(t, s, "+WPI")
	case "term":
		p.settle(t, s, "+TERM")
	case "purge":
		require.NoError(t, stream().Purge(t.Context(), js.WithPurgeSequence(s.Sequence)))
	case "delete consumer":
		require.NoError(t, stream().DeleteConsumer(t.Context(), "c"))
	case "create consumer":
		p.createConsumer(t, s.Sequence)
	case "delete stream":
		require.NoError(t, p.api.DeleteStream(t.Context(), p.name))
	case "create stream":
		p.createStream(t)
	case "change leader":
		_, err := p.nc.RequestWithContext(t.Context(), "$JS.API.CONSUMER.LEADER.STEPDOWN."+p.name+".c", nil)
		require.NoError(t, err)
	case "info":
		consumer, err := stream().Consumer(t.Context(), "c")
		require.NoError(t, err)
		info, err := consumer.Info(t.Context())
		require.NoError(t, err)
		p.mu.Lock()
		p.got[""] = []string{fmt.Sprintf("floor %d, delivered %d, deliveries %d", info.AckFloor.Stream, info.Delivered.Stream, info.Delivered.Consumer)}
		p.mu.Unlock()
	case "wait":
	default:
		require.Fail(t, "no such step", s.Do)
	}
	require.NoError(t, p.nc.Flush())
}
