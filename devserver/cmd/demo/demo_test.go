package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveIn) != "" { // this program is started again as the server
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// small returns a demo of few stories, and where it shows them.
func small() (*demo, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return &demo{
		stories: 12,
		pace:    10 * time.Millisecond,
		window:  300 * time.Millisecond,
		outage:  300 * time.Millisecond,
		limit:   50 * time.Second,
		screen:  &screen{out: out, began: time.Now()},
	}, out
}

var lastLine = regexp.MustCompile(`\npublished (\d+), handled (\d+), lost (\d+)\n$`)

// figures returns the numbers of the last line.
func figures(t *testing.T, out string) (published, handled, lost int) {
	t.Helper()
	match := lastLine.FindStringSubmatch(out)
	require.NotNil(t, match, out)
	n := make([]int, 3)
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(match[i+1])
		require.NoError(t, err)
	}
	return n[0], n[1], n[2]
}

func TestLastLineIsTrue(t *testing.T) {
	t.Parallel()
	t.Run("NATS Streaming", func(t *testing.T) {
		t.Parallel()
		out := lastLineIsTrue(t, false)
		assert.Contains(t, out, "server up: NATS Streaming,")
	})
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		out := lastLineIsTrue(t, true)
		assert.Contains(t, out, "server up: JetStream,")
	})
}

// lastLineIsTrue runs a demo against accounts kept in another way, and returns
// what was shown.
func lastLineIsTrue(t *testing.T, jetStream bool) string {
	t.Helper()
	d, out := small()
	d.jetStream = jetStream
	spy := &spy{published: make(map[string]bool), handled: make(map[string]int), headers: make(map[bool]int)}
	d.journal = func(l *ledger) platform.Journal { spy.ledger = l; return spy }
	require.Zero(t, d.run(t.Context()), out)

	published, handled, lost := figures(t, out.String())
	assert.GreaterOrEqual(t, published, d.stories*eventsPerStory)
	assert.Equal(t, published, handled)
	assert.Zero(t, lost)
	assert.Equal(t, spy.events(), published)
	assert.NotZero(t, spy.headers[jetStream])
	assert.Zero(t, spy.headers[!jetStream])
	assert.Contains(t, out.String(), "server KILLED")
	assert.Contains(t, out.String(), "server BACK")
	assert.Contains(t, out.String(), "caught up")
	assert.Contains(t, out.String(), fmt.Sprintf("doubles %d:", spy.doubles(t)))
	return out.String()
}

// spy keeps accounts of its own, in another way.
type spy struct {
	*ledger

	mu        sync.Mutex
	published map[string]bool // by all that is in the event
	handled   map[string]int  // how often, by that and the group
	headers   map[bool]int    // how many came with headers, which JetStream alone has, and without
}

func (s *spy) Published(by platform.Member, event events.Event) {
	s.mu.Lock()
	s.published[text(event)] = true
	s.mu.Unlock()
	s.ledger.Published(by, event)
}

func (s *spy) Handled(by platform.Member, event events.Event, d listener.Delivery) {
	s.mu.Lock()
	s.published[text(event)] = true
	s.handled[by.Service.Name()+" "+text(event)]++
	s.headers[len(d.Header) > 0]++
	s.mu.Unlock()
	s.ledger.Handled(by, event, d)
}

// text is the event as it travels.
func text(event events.Event) string {
	if o, ok := event.(events.OrderCreated); ok {
		o.ExpiresAt = o.ExpiresAt.UTC().Truncate(time.Millisecond)
		event = o
	}
	return fmt.Sprintf("%s %+v", event.Subject(), event)
}

func (s *spy) events() int { return len(s.published) }

// doubles checks that every event was handled by as many groups as listen for
// it, and returns how often one was handled again.
func (s *spy) doubles(t *testing.T) int {
	t.Helper()
	groups, again := make(map[string]int), 0
	for key, times := range s.handled {
		_, event, _ := strings.Cut(key, " ")
		groups[event]++
		again += times - 1
	}
	listen := map[subjects.Subject]int{
		subjects.TicketCreated: 1, subjects.TicketUpdated: 1, subjects.OrderCreated: 3,
		subjects.OrderCancelled: 2, subjects.ExpirationComplete: 1, subjects.PaymentCreated: 1,
	}
	for event := range s.published {
		subject, _, _ := strings.Cut(event, " ")
		assert.Equal(t, listen[subjects.Subject(subject)], groups[event], event)
	}
	return again
}

func TestLossIsFoundOut(t *testing.T) {
	t.Parallel()
	d, out := small()
	d.limit = 20 * time.Second // it waits for what does not come
	d.journal = func(l *ledger) platform.Journal { return &forgetful{ledger: l} }
	assert.Equal(t, 1, d.run(t.Context()))

	published, handled, lost := figures(t, out.String())
	assert.Equal(t, 1, lost, out)
	assert.Equal(t, published-1, handled)
	assert.Contains(t, out.String(), "it went wrong: the time is up (12 of 12 tickets sold, 0 events not published)")
	assert.Regexp(t, `(?m)^lost: order:created \w+ v0 was not handled by example-payments$`, out.String())
}

// forgetful drops one event that was handled.
type forgetful struct {
	*ledger

	once sync.Once
}

func (f *forgetful) Handled(by platform.Member, event events.Event, d listener.Delivery) {
	dropped := false
	if by.Service.Name() == "example-payments" && event.Subject() == subjects.OrderCreated {
		f.once.Do(func() { dropped = true })
	}
	if !dropped {
		f.ledger.Handled(by, event, d)
	}
}

func TestInterruptEndsItCleanly(t *testing.T) {
	t.Parallel()
	d, out := small()
	d.stories = 1_000_000
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	d.journal = func(l *ledger) platform.Journal { return &interrupting{ledger: l, interrupt: interrupt} }
	assert.Zero(t, d.run(ctx))
	assert.Contains(t, out.String(), "interrupted before the end")
	assert.NotRegexp(t, lastLine, out.String())
}

// interrupting interrupts when the first order is handled.
type interrupting struct {
	*ledger

	interrupt context.CancelFunc
}

func (i *interrupting) Handled(by platform.Member, event events.Event, d listener.Delivery) {
	i.ledger.Handled(by, event, d)
	if event.Subject() == subjects.OrderCreated {
		i.interrupt()
	}
}
