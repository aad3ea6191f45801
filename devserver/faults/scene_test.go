package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/transport/memory"
)

// patience is how long a scene waits for what must happen. Raw stan.go uses it up.
const patience = 20 * time.Second

// scene is a service, its server, and the link between them. Events flow all the
// time: the service publishes them, and handles them, or others do.
type scene struct {
	side        side
	setup       setup          // of its listeners
	server      *server        // not in memory
	link        *proxy.Proxy   // not in memory
	broker      *memory.Broker // in memory alone
	ledger      *ledger
	mended      atomic.Bool   // so that no handler fails any more
	says        *logBuffer    // what its services log
	pace        time.Duration // between two publishes
	exited      error         // of a service that did not wait for its server
	exitedAfter time.Duration

	junk    [][]byte      // payloads that are no events
	crashes int           // of services
	took    time.Duration // until what the scene is about was over
	told    string        // what the service's status told

	member               member   // the service
	members              []member // and others of its group
	publishing           context.Context
	stopPublishing       context.CancelFunc
	listening            context.Context
	stopListening        context.CancelFunc
	publishes, listeners sync.WaitGroup
	pacer                sync.WaitGroup // begins the publishes
}

func newScene(t *testing.T, s side, perSecond int) *scene {
	t.Helper()
	c := &scene{side: s, setup: usual, ledger: newLedger(), says: &logBuffer{}, pace: time.Second / time.Duration(perSecond)}
	if s.name == inMemory.name {
		c.broker = memory.New()
		c.side.options = []client.Option{client.Transport(c.broker.Dialer())}
	} else {
		c.server = newServer(t)
		c.server.start(t)
		var err error
		c.link, err = proxy.Start(c.server.address())
		require.NoError(t, err)
		t.Cleanup(c.link.Close)
	}
	c.publishing, c.stopPublishing = context.WithCancel(context.Background())
	c.listening, c.stopListening = context.WithCancel(context.Background())
	t.Cleanup(c.leave)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service over %s said:\n%s", s.title, c.says.tail())
		}
	})
	return c
}

// url is where the service connects to.
func (c *scene) url() string {
	if c.broker != nil {
		return "memory"
	}
	return "nats://" + c.link.Addr()
}

// join connects the service.
func (c *scene) join() (err error) {
	c.member, err = c.connect("service")
	return err
}

func (c *scene) connect(clientID string) (member, error) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	log := slog.New(slog.NewTextHandler(c.says, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m, err := c.side.connect(ctx, c.side, c.url(), clientID, log)
	if err == nil {
		c.members = append(c.members, m)
	}
	return m, err
}

// listen makes the service listen, until the scene ends.
func (c *scene) listen(t *testing.T) {
	t.Helper()
	c.listenAs(t, c.member, c.handle)
}

// listenAs makes a member listen, until the scene ends.
func (c *scene) listenAs(t *testing.T, m member, handle func(beat, message) error) {
	t.Helper()
	ready, ended := make(chan struct{}), make(chan error, 1)
	c.listeners.Go(func() { ended <- m.listen(c.listening, c.setup, func() { close(ready) }, handle) })
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "not subscribed")
	}
}

func (c *scene) handle(e beat, m message) error {
	c.ledger.began(e.N, m)
	if err := e.perform(c.mended.Load()); err != nil {
		return err
	}
	c.ledger.handled(e.N, m, time.Now())
	return nil
}

// publish makes the service publish, until the scene ends.
func (c *scene) publish() {
	c.pacer.Go(func() {
		tick := time.NewTicker(c.pace)
		defer tick.Stop()
		for {
			select {
			case <-c.publishing.Done():
				return
			case <-tick.C:
			}
			c.put(beat{})
		}
	})
}

// put has the service publish an event, which is odd unless it does nothing particular.
func (c *scene) put(e beat) (n int) { return c.post(e, e != beat{}) }

func (c *scene) post(e beat, odd bool) (n int) {
	e.N = c.ledger.next(odd)
	c.publishes.Go(func() {
		err := c.member.publish(e)
		if err != nil {
			fmt.Fprintf(c.says, "publish %d: %v\n", e.N, err)
		}
		c.ledger.published(e.N, outcomeOf(err))
	})
	return e.N
}

// flow lets events flow for a while.
func (c *scene) flow() { time.Sleep(span(2*time.Second, 300*time.Millisecond)) }

// begin has the service publish and listen.
func (c *scene) begin(t *testing.T) {
	t.Helper()
	require.NoError(t, c.join())
	c.listen(t)
	c.publish()
	c.awaitFlow(t)
}

// awaitFlow lets events flow for a while, and waits until some were handled, which may
// take longer on a busy machine.
func (c *scene) awaitFlow(t *testing.T) {
	t.Helper()
	const some = 5
	c.flow()
	require.True(t, await(patience, func() bool { return c.ledger.calls() >= some }), "no events flow")
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
	c.pacer.Wait()
	await(publishTimeout, func() bool { publishes, _ := c.ledger.pending(); return publishes == 0 })
	c.ledger.stored(numbers(c.log(t, subject)))
	for left := -1; ; { // as long as events are handled: one at a time, where they are suspect
		before := left
		await(2*patience, func() bool { _, left = c.ledger.pending(); return left == 0 || before >= 0 && left < before })
		if left == 0 || left == before {
			break
		}
	}
	return c.ledger.balance()
}

// leave ends what the scene has begun.
func (c *scene) leave() {
	c.stopPublishing()
	c.stopListening()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, m := range c.members {
		_ = m.close(ctx) // the server may be gone; what it lost stands in the account
	}
	c.pacer.Wait()
	c.publishes.Wait()
	c.listeners.Wait()
}

// await waits until is reports true, for so long at most, and reports whether it
// does.
func await(atMost time.Duration, is func() bool) bool {
	for deadline := time.Now().Add(atMost); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
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

// warns reports whether a line is a warning or an error that has the word.
func (b *logBuffer) warns(word string) bool {
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
