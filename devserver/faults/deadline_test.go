package faults_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// leaving is what Listen takes after its context's end at most, with no handler
// running: 3 s to tell the server that it ends.
const leaving = 3 * time.Second

// hole is what the calls are made on while nothing comes through the link. Those
// that would be in one another's way have clients of their own.
type hole struct {
	build      func(ctx context.Context, clientID string, opts ...client.Option) (*client.Client, error)
	client     *client.Client
	closing    *client.Client
	unfinished *publisher.Publisher[beat] // of closing, with a publish in flight
	wide       *publisher.Publisher[beat]
	narrow     *publisher.Publisher[beat] // of a client whose window is full
	pending    *publisher.Pending         // that fills it
	begun      func(context.Context)      // the end of a Listen that began before the hole
	idle       []*listener.Listener[beat]
}

// bounded is a public call that takes a context, and how much longer it may take.
type bounded struct {
	name string
	more time.Duration
	call func(context.Context, *hole)
}

var calls = []bounded{
	{"client.Build", 0, func(ctx context.Context, h *hole) { _, _ = h.build(ctx, "late") }},
	{"Client.Healthy", 0, func(ctx context.Context, h *hole) { _ = h.client.Healthy(ctx) }},
	{"Client.Close", 0, func(ctx context.Context, h *hole) { _ = h.closing.Close(ctx) }},
	{"Client.Watch", 0, func(ctx context.Context, h *hole) {
		h.client.Watch(ctx)(func(client.Event) bool { return true })
	}},
	{"Publisher.Publish", 0, func(ctx context.Context, h *hole) { _ = h.wide.Publish(ctx, beat{N: 1}) }},
	{"Publisher.PublishAsync", 0, func(ctx context.Context, h *hole) { _, _ = h.narrow.PublishAsync(ctx, beat{N: 1}) }},
	{"Publisher.PublishAll", 0, func(ctx context.Context, h *hole) {
		_, _ = h.wide.PublishAll(ctx, slices.Values([]beat{{N: 1}, {N: 2}}))
	}},
	{"Pending.Wait", 0, func(ctx context.Context, h *hole) { _ = h.pending.Wait(ctx) }},
	{"Listener.DeleteDurable", 0, func(ctx context.Context, h *hole) { _ = h.idle[0].DeleteDurable(ctx) }},
	{"deadletter.Redrive", 0, func(ctx context.Context, h *hole) { _, _ = deadletter.Redrive(ctx, h.client, group, subject) }},
	{"Listener.Listen", leaving, func(ctx context.Context, h *hole) { _ = h.idle[1].Listen(ctx) }},
	{"Listener.Listen, begun before", leaving, func(ctx context.Context, h *hole) { h.begun(ctx) }},
	{"listener.Run", leaving, func(ctx context.Context, h *hole) { _ = listener.Run(ctx, h.idle[2]) }},
}

// TestDeadlines: in a black hole every call that takes a context returns with it,
// whether the NATS connection has not noticed yet or is trying to come back, for
// which nats.go holds a lock that most of its calls need.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	for _, s := range sides() {
		if !s.ours() {
			continue
		}
		holes := map[string]time.Duration{"not noticed": 0}
		if *full {
			holes["noticed"] = 5500 * time.Millisecond
		}
		for when, wait := range holes {
			t.Run(s.title+", "+when, func(t *testing.T) {
				t.Parallel()
				c := newScene(t, s, 1)
				h := newHole(t, c)
				c.link.Stall(true)
				var err error
				h.pending, err = h.narrow.PublishAsync(t.Context(), beat{N: 1})
				require.NoError(t, err)
				_, err = h.unfinished.PublishAsync(t.Context(), beat{N: 1})
				require.NoError(t, err)
				time.Sleep(wait)
				var wg sync.WaitGroup
				for _, b := range calls {
					wg.Go(func() {
						early := b.measure(t, h)
						// An attempt to come back that fails may end a call before.
						assert.True(t, wait > 0 || !early, "%s did not wait, so that this tells nothing", b.name)
					})
				}
				wg.Wait()
				c.link.Stall(false)
			})
		}
	}
}

// measure reports whether the call returned before its deadline.
func (b bounded) measure(t *testing.T, h *hole) (early bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	b.call(ctx, h)
	deadline, _ := ctx.Deadline()
	late := time.Since(deadline)
	assert.LessOrEqual(t, late, b.more+span(100*time.Millisecond, 3*time.Second), "%s returned that long after its deadline", b.name)
	return late < 0
}

func newHole(t *testing.T, c *scene) *hole {
	t.Helper()
	h := &hole{build: func(ctx context.Context, clientID string, opts ...client.Option) (*client.Client, error) {
		quiet := client.Logger(slog.New(slog.DiscardHandler))
		return client.Build(ctx, clusterID, clientID, c.url(), append(append([]client.Option{quiet}, c.side.options...), opts...)...)
	}}
	connect := func(clientID string, opts ...client.Option) *client.Client {
		built, err := h.build(t.Context(), clientID, opts...)
		require.NoError(t, err)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = built.Close(ctx) // the one that was closed in the hole says so again
		})
		return built
	}
	publish := func(c *client.Client) *publisher.Publisher[beat] {
		p, err := publisher.New[beat](c)
		require.NoError(t, err)
		return p
	}
	listen := func(group string) *listener.Listener[beat] {
		l, err := listener.New(h.client, group, func(context.Context, beat, listener.Delivery) error { return nil })
		require.NoError(t, err)
		return l
	}
	h.client, h.closing = connect("client"), connect("closing")
	h.wide, h.unfinished, h.narrow = publish(h.client), publish(h.closing), publish(connect("narrow", client.PublishWindow(1)))
	h.idle = []*listener.Listener[beat]{listen("deleted"), listen("listening"), listen("running")}

	l := listen("begun")
	listening, stop := context.WithCancel(context.Background())
	ready, ended := l.Ready(), make(chan struct{})
	go func() {
		defer close(ended)
		_ = l.Listen(listening)
	}()
	t.Cleanup(func() { stop(); <-ended })
	<-ready
	h.begun = func(ctx context.Context) {
		<-ctx.Done()
		stop()
		<-ended
	}
	return h
}

// TestDeadlinesAreComplete: no public method that takes a context is left out.
func TestDeadlinesAreComplete(t *testing.T) {
	t.Parallel()
	var want, got []string
	for name, value := range map[string]any{
		"Client": &client.Client{}, "Publisher": &publisher.Publisher[beat]{}, "Pending": &publisher.Pending{}, "Listener": &listener.Listener[beat]{},
	} {
		for method := range reflect.TypeOf(value).Methods() {
			if method.Type.NumIn() > 1 && method.Type.In(1) == reflect.TypeFor[context.Context]() {
				want = append(want, name+"."+method.Name)
			}
		}
	}
	for _, b := range calls {
		if name, _, also := strings.Cut(b.name, ","); !also && strings.ToUpper(name[:1]) == name[:1] {
			got = append(got, name)
		}
	}
	require.ElementsMatch(t, want, got)
}
