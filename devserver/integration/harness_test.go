package integration_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// patience is how long a test waits for what must happen. It is never used up by
// a test that passes, also on a machine that is busy with others.
const patience = 2 * time.Minute

// note is the event that most tests send. Subjects are fixed by type, and tests
// must not share a channel, not even with an earlier run of theirs: so each test
// has a tag, a type of its own, and [fresh] gives the tag a new channel.
type note[Tag any] struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

var channels sync.Map // of subjects.Subject, by zero value of the tag

func (note[Tag]) Subject() subjects.Subject {
	var tag Tag
	s, _ := channels.Load(tag)
	subject, _ := s.(subjects.Subject)
	return subject
}

// fresh gives the tag a channel that nobody has used.
func fresh[Tag any](t *testing.T) subjects.Subject {
	t.Helper()
	var tag Tag
	name := strings.NewReplacer("/", ".", "_", "-").Replace(t.Name())
	subject := subjects.Subject("test." + name + "." + rand.Text()[:8])
	channels.Store(tag, subject)
	return subject
}

// group returns the name of a queue group that nobody has used.
func group() string { return "group-" + rand.Text()[:8] }

// deadline returns a context that ends when the test's patience does.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect builds a client with an ID of its own and closes it with the test.
func connect(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	return connectAs(t, "test-"+rand.Text(), opts...)
}

func connectAs(t *testing.T, clientID string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), server.clusterID, clientID, server.url,
		append([]client.Option{client.Logger(slog.New(slog.DiscardHandler))}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func closeClient(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, c.Close(ctx))
}

// publish sends the notes 1 to n.
func publish[Tag any](t *testing.T, c *client.Client, n int) {
	t.Helper()
	publishFrom[Tag](t, c, 1, n)
}

func publishFrom[Tag any](t *testing.T, c *client.Client, first, last int) {
	t.Helper()
	p, err := publisher.New[note[Tag]](c)
	require.NoError(t, err)
	stored, err := p.PublishAll(deadline(t), func(yield func(note[Tag]) bool) {
		for i := first; i <= last; i++ {
			if !yield(note[Tag]{N: i}) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, last-first+1, stored)
}

// got is an event with its delivery.
type got struct {
	n        int
	delivery listener.Delivery
	at       time.Time
}

// inbox collects what handlers get.
type inbox struct {
	arrived chan got
}

func newInbox() *inbox { return &inbox{arrived: make(chan got, 100_000)} }

func (i *inbox) put(n int, d listener.Delivery) { i.arrived <- got{n, d, time.Now()} }

// next returns the next event.
func (i *inbox) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-i.arrived:
		return g
	case <-time.After(patience):
		require.FailNow(t, "no event came")
		return got{}
	}
}

// take returns the numbers of the next n events.
func (i *inbox) take(t *testing.T, n int) []int {
	t.Helper()
	numbers := make([]int, n)
	for j := range numbers {
		numbers[j] = i.next(t).n
	}
	return numbers
}

// listening is a Listen that runs.
type listening struct {
	stop  context.CancelFunc
	ended chan error
}

// listen starts a listener and waits until it has subscribed. It ends with the
// test, or with end.
func listen[Tag any](t *testing.T, c *client.Client, group string, h listener.Handler[note[Tag]], opts ...listener.Option) *listening {
	t.Helper()
	l, err := listener.New(c, group, h, opts...)
	require.NoError(t, err)
	return begin(t, l)
}

func begin[Tag any](t *testing.T, l *listener.Listener[note[Tag]]) *listening {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &listening{stop: stop, ended: make(chan error, 1)}
	ready := l.Ready()
	go func() { r.ended <- l.Listen(ctx) }()
	select {
	case <-ready:
	case err := <-r.ended:
		require.NoError(t, err, "Listen ended")
	case <-time.After(patience):
		require.FailNow(t, "not subscribed")
	}
	t.Cleanup(stop)
	return r
}

// end ends the Listen and returns its error.
func (r *listening) end(t *testing.T) error {
	t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		require.FailNow(t, "Listen did not return")
		return nil
	}
}

// into returns a handler that collects.
func into[Tag any](i *inbox) listener.Handler[note[Tag]] {
	return func(_ context.Context, e note[Tag], d listener.Delivery) error {
		i.put(e.N, d)
		return nil
	}
}

// count returns 1 to n.
func count(n int) []int { return countFrom(1, n) }

func countFrom(first, last int) []int {
	numbers := make([]int, 0, last-first+1)
	for i := first; i <= last; i++ {
		numbers = append(numbers, i)
	}
	return numbers
}
