package integration_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// deadLetterChannel is a subject of a broker with its dead letters.
type deadLetterChannel struct {
	ClusterID string           `json:"clusterId"`
	URL       string           `json:"url"`
	JetStream bool             `json:"jetStream"`
	ClientID  string           `json:"clientId"` // of the child
	Group     string           `json:"group"`
	Subject   subjects.Subject `json:"subject"`

	AllSubjects bool `json:"allSubjects"` // its stream has the group's dead letters of all subjects

	client *client.Client
}

// onBothChannels runs a test over both brokers.
func onBothChannels(t *testing.T, run func(t *testing.T, m *deadLetterChannel)) {
	t.Helper()
	onChannels(t, false, run)
}

// onChannels runs a test over both brokers. A stream that has all dead letters of a group
// needs a server of its own: on the shared one there are streams that have those of all
// groups for their subject, and two streams can't share a subject.
func onChannels(t *testing.T, allSubjects bool, run func(t *testing.T, m *deadLetterChannel)) {
	t.Helper()
	for _, overJetStream := range []bool{false, true} {
		t.Run(map[bool]string{false: "NATS Streaming", true: "JetStream"}[overJetStream], func(t *testing.T) {
			t.Parallel()
			m := &deadLetterChannel{
				ClusterID: server.clusterID, URL: server.url, JetStream: overJetStream, ClientID: "killed-" + rand.Text(),
				Group: group(), Subject: subjects.Subject("test.redrive." + rand.Text()[:8]),
			}
			if overJetStream {
				s := newStream(t)
				if allSubjects {
					own, err := devserver.Start()
					require.NoError(t, err)
					t.Cleanup(own.Shutdown)
					s = streamOn(t, own.URL())
				}
				m.ClusterID, m.URL, m.AllSubjects = s.name, s.url, allSubjects
			}
			m.client = m.connect(t, "test-"+rand.Text())
			run(t, m)
		})
	}
}

func (m *deadLetterChannel) build(ctx context.Context, clientID string) (*client.Client, error) {
	opts := []client.Option{quiet()}
	if m.JetStream {
		letters := "dead.*." + string(m.Subject)
		if m.AllSubjects {
			letters = "dead." + m.Group + ".>"
		}
		opts = append(opts, client.JetStream(jetstream.OnlySubjects(string(m.Subject), letters), jetstream.MemoryStorage()))
	}
	return client.Build(ctx, m.ClusterID, clientID, m.URL, opts...)
}

func (m *deadLetterChannel) connect(t *testing.T, clientID string) *client.Client {
	t.Helper()
	c, err := m.build(deadline(t), clientID)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// payload returns the payload of the nth event. No two are the same, and none is JSON.
func payload(n int) string { return fmt.Sprintf("{\"n\":%d,\xff", n) }

// fill stores n events and their dead letters. The dead letters for which truncated returns
// true do not hold their events.
func (m *deadLetterChannel) fill(t *testing.T, n int, truncated func(n int) bool) []events.DeadLetter {
	t.Helper()
	all := make([]publisher.Message, n)
	for i := range all {
		all[i] = publisher.Message{Subject: m.Subject, Data: []byte(payload(i + 1))}
		if m.JetStream {
			all[i].ID = rand.Text()
			all[i].Header = map[string][]string{"ce-id": {strconv.Itoa(i + 1)}}
		}
	}
	m.store(t, all)

	letters := make([]events.DeadLetter, n)
	for i, d := range m.read(t, m.Subject) {
		letters[i] = events.NewDeadLetter(events.DeadLetter{
			Original: m.Subject, Group: m.Group, Sequence: d.Sequence, Timestamp: d.Timestamp, Attempts: 1, Error: "test",
			FailedAt: time.Now(), Reason: events.DeadLetterRejected, Header: d.Header, Data: d.payload,
		})
		if truncated(i + 1) {
			letters[i], _ = letters[i].Shorter()
		}
	}
	m.storeDeadLetters(t, letters)
	return letters
}

func (m *deadLetterChannel) storeDeadLetters(t *testing.T, letters []events.DeadLetter) {
	t.Helper()
	all := make([]publisher.Message, len(letters))
	for i := range letters {
		data, err := codec.JSON{}.Encode(&letters[i])
		require.NoError(t, err)
		all[i] = publisher.Message{Subject: letters[i].Subject(), Data: data}
	}
	m.store(t, all)
}

func (m *deadLetterChannel) store(t *testing.T, messages []publisher.Message) {
	t.Helper()
	raw, err := publisher.NewRaw(m.client)
	require.NoError(t, err)
	pending := make([]*publisher.Pending, len(messages))
	for i, message := range messages {
		pending[i], err = raw.PublishAsync(deadline(t), message)
		require.NoError(t, err)
	}
	for _, p := range pending {
		require.NoError(t, p.Wait(deadline(t)))
	}
}

// read returns the messages that a subject holds when it is called.
func (m *deadLetterChannel) read(t *testing.T, subject subjects.Subject) []stored {
	t.Helper()
	end := "end-" + rand.Text()
	m.store(t, []publisher.Message{{Subject: subject, Data: []byte(end)}})
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var all []stored
	complete := false
	l, err := listener.NewRaw(m.client, subject, "", func(_ context.Context, payload []byte, d listener.Delivery) error {
		switch {
		case string(payload) == end:
			complete = true
			stop()
		case !strings.HasPrefix(string(payload), "end-"):
			all = append(all, stored{d, payload})
		}
		return nil
	}, listener.Ephemeral(), listener.NoDeadLetters(), listener.AckWait(30*time.Second), listener.MaxInFlight(100_000))
	require.NoError(t, err)
	require.NoError(t, l.Listen(ctx))
	require.True(t, complete, "the last message did not come")
	return all
}

// stored is a message that a subject holds.
type stored struct {
	listener.Delivery

	payload []byte
}

// times returns how often each event is stored on its subject.
func (m *deadLetterChannel) times(t *testing.T) map[string]int {
	t.Helper()
	times := make(map[string]int)
	for _, d := range m.read(t, m.Subject) {
		times[string(d.payload)]++
	}
	return times
}

// TestRedriveThousand: a thousand dead letters, some not wanted, some twice, some
// without their data.
func TestRedriveThousand(t *testing.T) {
	t.Parallel()
	onBothChannels(t, func(t *testing.T, m *deadLetterChannel) {
		t.Helper()
		const n = 1000
		letters := m.fill(t, n, func(n int) bool { return n%250 == 0 })
		m.storeDeadLetters(t, letters[:20])
		begun := time.Now()
		got, err := deadletter.Redrive(deadline(t), m.client, m.Group, m.Subject,
			deadletter.Where(func(d events.DeadLetter) bool { return d.Sequence%10 != 7 }))
		require.NoError(t, err)
		require.Equal(t, deadletter.Result{Redriven: 900, Duplicates: 18, Kept: 102}, got)
		t.Logf("900 of 1020 in %v", time.Since(begun).Round(time.Millisecond))

		begun = time.Now()
		got, err = deadletter.Redrive(deadline(t), m.client, m.Group, m.Subject)
		require.NoError(t, err)
		require.Equal(t, deadletter.Result{Redriven: 100, Duplicates: 2}, got)
		t.Logf("the other 100 in %v", time.Since(begun).Round(time.Millisecond))

		times := m.times(t)
		require.Len(t, times, n)
		for text, times := range times {
			require.Equal(t, 2, times, text)
		}
		if m.JetStream {
			for _, d := range m.read(t, m.Subject)[n:] {
				require.Equal(t, []string{m.Group}, d.Header[deadletter.RedrivenFor])
				require.Len(t, d.Header["ce-id"], 1)
			}
		}
	})
}

// asRedrive is the variable with which the test program runs a Redrive as a child process,
// so that it can be killed.
const asRedrive = "INTEGRATION_TEST_AS_REDRIVE"

// redriveAsChild is that program. It prints the ID of each dead letter that it gets.
func redriveAsChild(config string) int {
	var m deadLetterChannel
	if err := json.Unmarshal([]byte(config), &m); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	c, err := m.build(context.Background(), m.ClientID)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, err = deadletter.Redrive(context.Background(), c, m.Group, m.Subject, deadletter.Where(func(d events.DeadLetter) bool {
		fmt.Println(d.ID)
		time.Sleep(time.Millisecond)
		return true
	}))
	fmt.Fprintln(os.Stderr, "not killed:", err)
	return 1
}

// TestRedriveKilled: a Redrive whose process is killed half-way loses nothing, and the next
// one finishes. It finishes at once if it has the same client ID.
func TestRedriveKilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"the same client", "another client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothChannels(t, func(t *testing.T, m *deadLetterChannel) {
				t.Helper()
				const n = 500
				m.fill(t, n, func(int) bool { return false })
				config, err := json.Marshal(m)
				require.NoError(t, err)
				exe, err := os.Executable()
				require.NoError(t, err)
				child := exec.Command(exe)
				child.Env = append(os.Environ(), asRedrive+"="+string(config))
				child.Stderr = os.Stderr
				stdout, err := child.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, child.Start())
				t.Cleanup(func() { _ = child.Process.Kill() })
				lines := make([]byte, 4096)
				for seen := 0; seen < n/2; {
					read, err := stdout.Read(lines)
					require.NoError(t, err)
					seen += strings.Count(string(lines[:read]), "\n")
				}
				require.NoError(t, child.Process.Kill())
				require.Error(t, child.Wait())

				id := "test-" + rand.Text()
				if name == "the same client" {
					id = m.ClientID
				}
				again := m.connect(t, id)
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				got, err := deadletter.Redrive(ctx, again, m.Group, m.Subject)
				require.NoError(t, err)
				require.Zero(t, got.Failed+got.Kept+got.Duplicates)
				require.Positive(t, got.Redriven)
				require.Less(t, got.Redriven, n)
				took := time.Since(begun)
				doubled, times := 0, m.times(t)
				require.Len(t, times, n)
				for text, times := range times {
					require.GreaterOrEqual(t, times, 2, text)
					doubled += times - 2
				}
				if m.JetStream {
					require.Zero(t, doubled, "the stream recognises message IDs")
				}
				t.Logf("the second one put back %d in %v; %d are there twice", got.Redriven, took.Round(time.Millisecond), doubled)
				got, err = deadletter.Redrive(ctx, again, m.Group, m.Subject)
				require.NoError(t, err)
				require.Equal(t, deadletter.Result{}, got)
			})
		})
	}
}

// TestRedriveOverALostLink: a Redrive goes on by itself when its connection is lost.
func TestRedriveOverALostLink(t *testing.T) {
	t.Parallel()
	onBothChannels(t, func(t *testing.T, m *deadLetterChannel) {
		t.Helper()
		const n = 500
		m.fill(t, n, func(int) bool { return false })
		proxy, url := startProxy(t, m.URL)
		m.URL = url
		c := m.connect(t, "cut-"+rand.Text())
		seen := 0
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		got, err := deadletter.Redrive(ctx, c, m.Group, m.Subject, deadletter.Where(func(events.DeadLetter) bool {
			seen++
			if seen%200 == 100 {
				proxy.Cut()
			}
			time.Sleep(time.Millisecond)
			return true
		}))
		require.NoError(t, err)
		require.Equal(t, deadletter.Result{Redriven: n}, got)
		doubled, times := 0, m.times(t)
		require.Len(t, times, n)
		for text, times := range times {
			require.GreaterOrEqual(t, times, 2, text)
			doubled += times - 2
		}
		if m.JetStream {
			require.Zero(t, doubled)
		}
		t.Logf("%d are there twice", doubled)
	})
}

// TestRedrivenEventsAreHandled: events that a group rejects or can't decode become dead
// letters. When they are put back, those that the mended handler can handle are handled
// once, and the others become dead letters again.
func TestRedrivenEventsAreHandled(t *testing.T) {
	t.Parallel()
	type streaming struct{}
	type jet struct{}
	onBothChannels(t, func(t *testing.T, m *deadLetterChannel) {
		t.Helper()
		if m.JetStream {
			redrivenEventsAreHandled[jet](t, m)
		} else {
			redrivenEventsAreHandled[streaming](t, m)
		}
	})
}

func redrivenEventsAreHandled[Tag any](t *testing.T, m *deadLetterChannel) {
	t.Helper()
	const n = 100
	var tag Tag
	channels.Store(tag, m.Subject)
	publish[Tag](t, m.client, n)
	// The second is too large for its dead letter, when that is base64.
	broken := []string{"{\"n\":\xff}", "[" + strings.Repeat(" ", 900_000) + "]"}
	for _, data := range broken {
		m.store(t, []publisher.Message{{Subject: m.Subject, Data: []byte(data)}})
	}
	var mended atomic.Bool
	handled := newInbox()
	l := listen(t, m.client, m.Group, func(_ context.Context, e note[Tag], d listener.Delivery) error {
		if e.N%2 == 0 && !mended.Load() {
			return listener.Reject(errors.New("even"))
		}
		handled.put(e.N, d)
		return nil
	})
	ids := make(map[string]bool)
	dead := make(chan string, 1000)
	alerts, err := listener.NewDeadLetters(m.client, "alerts", listener.DeadLettersOf{Group: m.Group, Subject: m.Subject},
		func(_ context.Context, e events.DeadLetter, _ listener.Delivery) error {
			dead <- e.ID
			return nil
		})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- alerts.Listen(ctx) }()

	handled.take(t, n/2)
	for range n/2 + len(broken) {
		ids[<-dead] = true
	}
	mended.Store(true)
	got, err := deadletter.Redrive(deadline(t), m.client, m.Group, m.Subject)
	require.NoError(t, err)
	require.Equal(t, deadletter.Result{Redriven: n/2 + len(broken)}, got)
	for _, n := range handled.take(t, n/2) {
		require.Zero(t, n%2)
	}
	for range broken {
		ids[<-dead] = true
	}
	require.Len(t, ids, n/2+2*len(broken), "an event that fails again has another dead letter")
	require.NoError(t, l.end(t))
	stop()
	require.NoError(t, <-ended)
	require.Empty(t, handled.arrived)
	require.Empty(t, dead)
	for data, times := range m.times(t) {
		require.LessOrEqual(t, times, 2, "%.100s", data)
	}
	for _, data := range broken {
		require.Equal(t, 2, m.times(t)[data], "%.100s", data)
	}
}

// TestDeadLettersAreListenedTo: a listener gets the dead letters of one subject over both
// brokers, and those of all subjects over JetStream.
func TestDeadLettersAreListenedTo(t *testing.T) {
	t.Parallel()
	onChannels(t, true, func(t *testing.T, m *deadLetterChannel) {
		t.Helper()
		m.fill(t, 3, func(n int) bool { return n == 3 })
		subjects := []subjects.Subject{m.Subject}
		if m.JetStream {
			m.storeDeadLetters(t, []events.DeadLetter{events.NewDeadLetter(events.DeadLetter{
				Original: "another.subject", Group: m.Group, Sequence: 1, Timestamp: time.Now(), FailedAt: time.Now(), Reason: events.DeadLetterInvalid,
			})})
			subjects = append(subjects, listener.AllSubjects)
		}
		for _, subject := range subjects {
			got := make(chan events.DeadLetter, 10)
			l, err := listener.NewDeadLetters(m.client, "alerts", listener.DeadLettersOf{Group: m.Group, Subject: subject},
				func(_ context.Context, e events.DeadLetter, _ listener.Delivery) error {
					got <- e
					return nil
				})
			require.NoError(t, err)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Listen(ctx) }()
			for i := range 3 {
				e := <-got
				require.NoError(t, e.Validate())
				require.Equal(t, uint64(i+1), e.Sequence)
				require.Equal(t, i == 2, e.Truncated)
				if i < 2 {
					require.Equal(t, payload(i+1), string(e.Data))
				}
			}
			if subject == listener.AllSubjects {
				require.Equal(t, "another.subject", string((<-got).Original))
			}
			stop()
			require.NoError(t, <-ended)
		}
	})
}
