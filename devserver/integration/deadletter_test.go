package integration_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/sgtickets/common/internal/access"
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
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
)

// morgue is a channel of a broker with dead letters.
type morgue struct {
	ClusterID string           `json:"clusterId"`
	URL       string           `json:"url"`
	JetStream bool             `json:"jetStream"`
	ClientID  string           `json:"clientId"` // of the child
	Group     string           `json:"group"`
	Subject   subjects.Subject `json:"subject"`

	client *client.Client
}

// onBothMorgues runs a test over both brokers.
func onBothMorgues(t *testing.T, run func(t *testing.T, m *morgue)) {
	t.Helper()
	for _, overJetStream := range []bool{false, true} {
		t.Run(map[bool]string{false: "NATS Streaming", true: "JetStream"}[overJetStream], func(t *testing.T) {
			t.Parallel()
			m := &morgue{
				ClusterID: server.clusterID, URL: server.url, JetStream: overJetStream, ClientID: "killed-" + rand.Text(),
				Group: group(), Subject: subjects.Subject("test.redrive." + rand.Text()[:8]),
			}
			if overJetStream {
				s := newStream(t)
				m.ClusterID, m.URL = s.name, s.url
			}
			m.client = m.connect(t, "test-"+rand.Text())
			run(t, m)
		})
	}
}

func (m *morgue) build(ctx context.Context, clientID string) (*client.Client, error) {
	opts := []client.Option{quiet()}
	if m.JetStream {
		opts = append(opts, client.JetStream(jetstream.OnlySubjects(string(m.Subject), "dead."+m.Group+".>"), jetstream.MemoryStorage()))
	}
	return client.Build(ctx, m.ClusterID, clientID, m.URL, opts...)
}

func (m *morgue) connect(t *testing.T, clientID string) *client.Client {
	t.Helper()
	c, err := m.build(deadline(t), clientID)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// payload is that of the nth event: no two are the same, and few are JSON.
func payload(n int) string { return fmt.Sprintf("{\"n\":%d,\xff", n) }

// fill stores n events and their dead letters, each as large as truncate allows.
func (m *morgue) fill(t *testing.T, n int, truncated func(n int) bool) []events.DeadLetter {
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
	for i, d := range m.read(t, string(m.Subject)) {
		letters[i] = events.NewDeadLetter(events.DeadLetter{
			Original: m.Subject, Group: m.Group, Sequence: d.Sequence, Timestamp: d.Timestamp, Attempts: 1, Error: "test",
			FailedAt: time.Now(), Reason: events.DeadLetterRejected, Header: d.Header, Data: d.Data,
		})
		if truncated(i + 1) {
			letters[i], _ = letters[i].Shorter()
		}
	}
	m.bury(t, letters)
	return letters
}

func (m *morgue) bury(t *testing.T, letters []events.DeadLetter) {
	t.Helper()
	all := make([]publisher.Message, len(letters))
	for i := range letters {
		data, err := codec.JSON{}.Encode(&letters[i])
		require.NoError(t, err)
		all[i] = publisher.Message{Subject: letters[i].Subject(), Data: data}
	}
	m.store(t, all)
}

func (m *morgue) store(t *testing.T, messages []publisher.Message) {
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

// read reads a channel, to the last message that there is when it is called.
func (m *morgue) read(t *testing.T, subject string) []transport.Delivery {
	t.Helper()
	end := "end-" + rand.Text()
	m.store(t, []publisher.Message{{Subject: subjects.Subject(subject), Data: []byte(end)}})
	arrived := make(chan transport.Delivery, 100_000)
	sub, err := access.Session(m.client).Conn.Subscribe(deadline(t), transport.SubscribeConfig{
		Subject: subject, Start: transport.All, AckWait: 30 * time.Second, MaxInFlight: 100_000,
	}, func(d transport.Delivery) {
		_ = d.Settler.Ack()
		arrived <- d
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Close(deadline(t))) }()
	var all []transport.Delivery
	for {
		select {
		case d := <-arrived:
			switch {
			case string(d.Data) == end:
				return all
			case !strings.HasPrefix(string(d.Data), "end-"):
				all = append(all, d)
			}
		case <-time.After(patience):
			require.FailNow(t, "the end did not come")
		}
	}
}

// times counts how often each event is in its channel.
func (m *morgue) times(t *testing.T) map[string]int {
	t.Helper()
	times := make(map[string]int)
	for _, d := range m.read(t, string(m.Subject)) {
		times[string(d.Data)]++
	}
	return times
}

// TestRedriveThousand: a thousand dead letters, some not wanted, some twice, some
// without their data.
func TestRedriveThousand(t *testing.T) {
	t.Parallel()
	onBothMorgues(t, func(t *testing.T, m *morgue) {
		t.Helper()
		const n = 1000
		letters := m.fill(t, n, func(n int) bool { return n%250 == 0 })
		m.bury(t, letters[:20])
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
			for _, d := range m.read(t, string(m.Subject))[n:] {
				require.Equal(t, []string{m.Group}, d.Header[deadletter.RedrivenFor])
				require.Len(t, d.Header["ce-id"], 1)
			}
		}
	})
}

// asRedrive makes the test program be a Redrive, so that it can be killed.
const asRedrive = "INTEGRATION_TEST_AS_REDRIVE"

// redriveAsChild is such a program: it says of each dead letter that it has it.
func redriveAsChild(config string) int {
	var m morgue
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

// TestRedriveKilled: a Redrive whose process is killed half-way loses nothing, and
// the next one finishes, at once when it has the same client ID.
func TestRedriveKilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"the same client", "another client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothMorgues(t, func(t *testing.T, m *morgue) {
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
					require.Zero(t, doubled, "the stream recognises what it has")
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
	onBothMorgues(t, func(t *testing.T, m *morgue) {
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

// TestThereAndBack: what a group rejects, and what does not decode, becomes dead
// letters; put back, what the mended handler can handle is handled, once, and the
// rest becomes dead letters anew.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	type streaming struct{}
	type jet struct{}
	onBothMorgues(t, func(t *testing.T, m *morgue) {
		t.Helper()
		if m.JetStream {
			thereAndBack[jet](t, m)
		} else {
			thereAndBack[streaming](t, m)
		}
	})
}

func thereAndBack[Tag any](t *testing.T, m *morgue) {
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
	alerts, err := listener.NewDeadLetters(m.client, "alerts", m.Group, m.Subject,
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
	require.Len(t, ids, n/2+2*len(broken), "one that fails again is another one")
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

// TestDeadLettersAreListenedTo: of one subject over both brokers, and of all over
// JetStream.
func TestDeadLettersAreListenedTo(t *testing.T) {
	t.Parallel()
	onBothMorgues(t, func(t *testing.T, m *morgue) {
		t.Helper()
		m.fill(t, 3, func(n int) bool { return n == 3 })
		subjects := []subjects.Subject{m.Subject}
		if m.JetStream {
			m.bury(t, []events.DeadLetter{events.NewDeadLetter(events.DeadLetter{
				Original: "another.subject", Group: m.Group, Sequence: 1, Timestamp: time.Now(), FailedAt: time.Now(), Reason: events.DeadLetterInvalid,
			})})
			subjects = append(subjects, listener.AllSubjects)
		}
		for _, subject := range subjects {
			got := make(chan events.DeadLetter, 10)
			l, err := listener.NewDeadLetters(m.client, "alerts", m.Group, subject,
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
