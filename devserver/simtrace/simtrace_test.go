// Package simtrace_test holds the traces that the simulated server of transport/stan
// is tested with to the real server. RECORD=1 writes them anew.
package simtrace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/transport"
	transportstan "github.com/sgtickets/common/transport/stan"
)

const file = "../../transport/stan/testdata/server.json"

// patience is how much longer than usual what a step brings may take.
const patience = 5 * time.Second

type trace struct {
	Name  string  `json:"name"`
	Steps []*step `json:"steps"`
}

type step struct {
	Do       string   `json:"do"`
	Member   string   `json:"member,omitempty"`
	Client   string   `json:"client,omitempty"`
	Window   int      `json:"window,omitempty"`
	Sequence uint64   `json:"sequence,omitempty"`
	Few      bool     `json:"few,omitempty"`
	Got      []string `json:"got,omitempty"`
}

func TestTracesAreTheRealServers(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var traces []*trace
	require.NoError(t, json.Unmarshal(data, &traces))
	if os.Getenv("RECORD") != "" {
		t.Cleanup(func() {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			e.SetIndent("", " ")
			require.NoError(t, e.Encode(traces))
			require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
		})
	}
	for _, trace := range traces {
		t.Run(trace.Name, func(t *testing.T) {
			t.Parallel()
			// Steps are told apart by time alone, and on a busy machine what one brings may
			// come in the next. A server that does something else does so every time.
			var differs string
			for range 5 {
				if differs = play(t, trace); differs == "" {
					return
				}
				t.Log(differs)
			}
			require.Fail(t, "the server does something else", differs)
		})
	}
}

// member is a client with a subscription to the durable group.
type member struct {
	conn   stan.Conn
	sub    stan.Subscription
	socket *socket

	mu   sync.Mutex
	have map[uint64]*stan.Msg
}

// play takes the steps with a server of its own, and returns what is not as recorded,
// if anything. An ack wait is a second, and all that one brings usually comes well within
// the third of a second behind it; what is recorded is waited for.
func play(t *testing.T, trace *trace) (differs string) {
	t.Helper()
	server, err := devserver.Start(devserver.StoreDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	got := make(chan string, 1000)
	publisher, _ := connect(t, server, "publisher")
	members := make(map[string]*member)
	frozen := make(map[*socket]bool)
	defer func() { // what differs ends the steps before their thaw
		for s := range frozen {
			s.frozen.Unlock()
		}
	}()
	var sent time.Time // when ack waits began
	waits := 0
	few := false
	var fewMu sync.Mutex
	for i, s := range trace.Steps {
		fewMu.Lock()
		few = s.Few
		fewMu.Unlock()
		until := time.Now().Add(300 * time.Millisecond)
		m := members[s.Member]
		switch s.Do {
		case "join":
			m = &member{have: make(map[uint64]*stan.Msg)}
			m.conn, m.socket = connect(t, server, s.Client)
			m.sub, err = m.conn.QueueSubscribe("c", "g", func(msg *stan.Msg) {
				m.mu.Lock()
				m.have[msg.Sequence] = msg
				m.mu.Unlock()
				again := strconv.FormatUint(uint64(msg.RedeliveryCount), 10)
				fewMu.Lock()
				if few && msg.RedeliveryCount < 3 {
					again = "few"
				}
				fewMu.Unlock()
				got <- fmt.Sprintf("%s: event %d, again %s", s.Member, msg.Sequence, again)
			}, stan.DurableName("d"), stan.SetManualAckMode(), stan.AckWait(time.Second), stan.MaxInflight(s.Window), stan.DeliverAllAvailable())
			require.NoError(t, err)
			members[s.Member] = m
			until = time.Now().Add(150 * time.Millisecond)
		case "publish":
			sent, waits = time.Now(), 0
			require.NoError(t, publisher.Publish("c", []byte("event")))
			until = time.Now().Add(100 * time.Millisecond)
		case "ack":
			m.mu.Lock()
			msg := m.have[s.Sequence]
			m.mu.Unlock()
			if msg == nil {
				return fmt.Sprintf("step %d: member %s does not have event %d", i, s.Member, s.Sequence)
			}
			require.NoError(t, msg.Ack())
			until = time.Now().Add(100 * time.Millisecond)
		case "close":
			require.NoError(t, m.sub.Close())
		case "end":
			require.NoError(t, m.conn.Close())
		case "wait":
			waits++
			until = sent.Add(time.Duration(waits)*time.Second + 300*time.Millisecond)
		case "restart":
			require.NoError(t, server.Restart())
			until = time.Now().Add(1700 * time.Millisecond)
		case "freeze":
			m.socket.frozen.Lock()
			frozen[m.socket] = true
		case "thaw":
			delete(frozen, m.socket)
			m.socket.frozen.Unlock()
		}
		time.Sleep(time.Until(until))
		if recording := os.Getenv("RECORD") != ""; !recording && !s.Few {
			for late := time.Now().Add(patience); len(got) < len(s.Got) && time.Now().Before(late); {
				time.Sleep(10 * time.Millisecond)
			}
		}
		var all []string
		for len(got) > 0 {
			all = append(all, <-got)
		}
		slices.Sort(all)
		if s.Few {
			all = slices.Compact(all)
		}
		if os.Getenv("RECORD") != "" {
			s.Got = all
		}
		if !slices.Equal(s.Got, all) {
			return fmt.Sprintf("step %d, %s %s: got %q, recorded is %q", i, s.Do, s.Member, all, s.Got)
		}
	}
	return ""
}

// connect connects in a way that can be frozen. It ends with the server.
func connect(t *testing.T, server *devserver.Server, client string) (stan.Conn, *socket) {
	t.Helper()
	s := &socket{}
	nc, err := nats.Connect(server.URL(), nats.SetCustomDialer(s), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	sc, err := stan.Connect(server.ClusterID(), client, stan.NatsConn(nc))
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close(); _ = sc.Close() })
	return sc, s
}

// socket reads nothing while it is frozen.
type socket struct {
	frozen sync.Mutex
}

func (s *socket) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &frozen{c, s}, err
}

type frozen struct {
	net.Conn

	socket *socket
}

func (f *frozen) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.socket.frozen.Lock()
	defer f.socket.frozen.Unlock()
	return n, err
}

// TestThePingOfStanGoCanBeRead, which transport/stan does by reflection: were it not
// there, a round trip would be unsupported, and sessions would be taken for good unasked.
func TestThePingOfStanGoCanBeRead(t *testing.T) {
	t.Parallel()
	server, err := devserver.Start()
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	c, err := transportstan.Dialer()(t.Context(), transport.Config{ClusterID: server.ClusterID(), ClientID: "pinging", URL: server.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	require.NoError(t, c.Ping(t.Context()))
}
