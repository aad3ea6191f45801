package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver/faults/proxy"
)

// patience is how long a scene waits for what must happen. Raw stan.go uses it up.
const patience = 20 * time.Second

// scene is a service, its server, and the link between them. Events flow all the
// time: the service publishes them, and handles them, or others do.
type scene struct {
	side   side
	server *server
	link   *proxy.Proxy
	ledger *ledger
	log    *logBuffer
	pace   time.Duration // between two publishes
	exited error         // of a service that did not wait for its server

	member               member
	publishing           context.Context
	stopPublishing       context.CancelFunc
	listening            context.Context
	stopListening        context.CancelFunc
	publishes, listeners sync.WaitGroup
}

func newScene(t *testing.T, s side, perSecond int) *scene {
	t.Helper()
	c := &scene{side: s, server: newServer(t), ledger: newLedger(), log: &logBuffer{}, pace: time.Second / time.Duration(perSecond)}
	c.server.start(t)
	var err error
	c.link, err = proxy.Start(c.server.address())
	require.NoError(t, err)
	t.Cleanup(c.link.Close)
	c.publishing, c.stopPublishing = context.WithCancel(context.Background())
	c.listening, c.stopListening = context.WithCancel(context.Background())
	t.Cleanup(c.leave)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service over %s said:\n%s", s.title, c.log.tail())
		}
	})
	return c
}

// url is where the service connects to.
func (c *scene) url() string { return "nats://" + c.link.Addr() }

// join connects the service.
func (c *scene) join() error {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	log := slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	c.member, err = c.side.connect(ctx, c.side, c.url(), "service", log)
	return err
}

// listen makes the service listen, until the scene ends.
func (c *scene) listen(t *testing.T) {
	t.Helper()
	ready, ended := make(chan struct{}), make(chan error, 1)
	c.listeners.Go(func() {
		ended <- c.member.listen(c.listening, func() { close(ready) }, func(n int, m message) { c.ledger.handled(n, m, time.Now()) })
	})
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "not subscribed")
	}
}

// publish makes the service publish, until the scene ends.
func (c *scene) publish() {
	c.publishes.Go(func() {
		tick := time.NewTicker(c.pace)
		defer tick.Stop()
		for {
			select {
			case <-c.publishing.Done():
				return
			case <-tick.C:
			}
			n := c.ledger.next()
			c.publishes.Go(func() { c.ledger.published(n, c.member.publish(n)) })
		}
	})
}

// flow lets events flow for a while.
func (c *scene) flow() { time.Sleep(span(2*time.Second, 300*time.Millisecond)) }

// begin has the service publish and listen.
func (c *scene) begin(t *testing.T) {
	t.Helper()
	require.NoError(t, c.join())
	c.listen(t)
	c.publish()
	c.flow()
}

// over takes the time from now until all goes on.
func (c *scene) over() {
	c.ledger.over()
	await(patience, c.ledger.isBack)
	c.flow()
}

// end ends the scene and makes up its account.
func (c *scene) end(t *testing.T) figures {
	t.Helper()
	c.stopPublishing()
	await(publishTimeout, func() bool { publishes, _ := c.ledger.pending(); return publishes == 0 })
	c.ledger.stored(c.readLog(t))
	await(2*patience, func() bool { _, events := c.ledger.pending(); return events == 0 })
	return c.ledger.balance()
}

// leave ends what the scene has begun.
func (c *scene) leave() {
	c.stopPublishing()
	c.stopListening()
	if c.member != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.member.close(ctx) // the server may be gone; what it lost stands in the account
	}
	c.publishes.Wait()
	c.listeners.Wait()
}

// await waits until is reports true, for so long at most. Whether it does is in the
// account.
func await(atMost time.Duration, is func() bool) {
	for deadline := time.Now().Add(atMost); !is() && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
}

// readLog returns the numbers of the events that the server has stored.
func (c *scene) readLog(t *testing.T) []int {
	t.Helper()
	if c.side.name == jetStream.name {
		return readStream(t, c.server.url())
	}
	return readChannel(t, c.server.url())
}

// readChannel reads the channel to the mark that it sets itself.
func readChannel(t *testing.T, url string) []int {
	t.Helper()
	conn, err := stan.Connect(clusterID, "reader-"+rand.Text(), stan.NatsURL(url))
	require.NoError(t, err)
	defer conn.Close()
	mark, err := json.Marshal(beat{})
	require.NoError(t, err)
	require.NoError(t, conn.Publish(subject, mark))

	read := make(chan int, 1)
	_, err = conn.Subscribe(subject, func(m *stan.Msg) { read <- number(t, m.Data) }, stan.DeliverAllAvailable(), stan.MaxInflight(10_000))
	require.NoError(t, err)
	var numbers []int
	for {
		select {
		case n := <-read:
			if n == 0 {
				return numbers
			}
			numbers = append(numbers, n)
		case <-time.After(patience):
			require.FailNow(t, "the log does not end")
		}
	}
}

func readStream(t *testing.T, url string) []int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	defer nc.Close()
	raw, err := js.New(nc)
	require.NoError(t, err)
	stream, err := raw.Stream(ctx, clusterID)
	require.NoError(t, err)
	consumer, err := stream.OrderedConsumer(ctx, js.OrderedConsumerConfig{})
	require.NoError(t, err)
	numbers := make([]int, 0, stream.CachedInfo().State.Msgs)
	for len(numbers) < cap(numbers) {
		batch, err := consumer.Fetch(min(1000, cap(numbers)-len(numbers)))
		require.NoError(t, err)
		for m := range batch.Messages() {
			numbers = append(numbers, number(t, m.Data()))
		}
		require.NoError(t, batch.Error())
	}
	return numbers
}

func number(t *testing.T, data []byte) int {
	t.Helper()
	var e beat
	assert.NoError(t, json.Unmarshal(data, &e))
	return e.N
}

// logBuffer keeps the log of a service.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// says reports whether a line is a warning or an error that has the word.
func (b *logBuffer) says(word string) bool {
	for line := range strings.Lines(b.String()) {
		if (strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")) && strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// tail is its end, without what is of no interest after a failure.
func (b *logBuffer) tail() string {
	const most = 8 << 10
	text := b.String()
	return text[max(0, len(text)-most):]
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
