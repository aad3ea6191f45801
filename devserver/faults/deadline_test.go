package faults_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// drain is the DrainTimeout of all listeners here: what Listen takes after its context's
// end at most.
const drain = 500 * time.Millisecond

// closing is the CloseTimeout of the client that Run closes: what that takes after the drain.
const closing = 200 * time.Millisecond

// hole is what the calls are made on while nothing comes through the link. Those
// that would be in one another's way have clients of their own.
type hole struct {
	build      func(ctx context.Context, clientID string, opts ...client.Option) (*client.Client, error)
	fromEnv    func(ctx context.Context) (*client.Client, error)
	client     *client.Client
	closing    *client.Client
	unfinished *publisher.Publisher[beat] // of closing, with a publish in flight
	busy       *client.Client             // with a handler that hangs
	left       struct{ publish, handler, hanging error }
	wide       *publisher.Publisher[beat]
	narrow     *publisher.Publisher[beat]  // of a client whose window is full
	pending    *publisher.Pending          // that fills it
	begun      func(context.Context) error // the end of a Listen that began before the hole
	hanging    func(context.Context) error // the same, with a handler that hangs
	idle       []*listener.Listener[beat]
	raw        *publisher.Raw
	rawNarrow  *publisher.Raw // of the client whose window is full
	rawIdle    []*listener.Raw
	running    *client.Client // that Run closes
}

// bounded is a public call that takes a context, and how much longer it may take.
type bounded struct {
	name string
	more time.Duration
	call func(context.Context, *hole)
}

// calls are named by package, type and method; what comes behind a comma is one more case.
var calls = []bounded{
	{"client.Build", 0, func(ctx context.Context, h *hole) { _, _ = h.build(ctx, "late") }},
	{"client.FromEnv", 0, func(ctx context.Context, h *hole) { _, _ = h.fromEnv(ctx) }},
	{"client.Client.Healthy", 0, func(ctx context.Context, h *hole) { _ = h.client.Healthy(ctx) }},
	{"client.Client.Close", 0, func(ctx context.Context, h *hole) { h.left.publish = h.closing.Close(ctx) }},
	{"client.Client.Close, a handler hangs", 0, func(ctx context.Context, h *hole) { h.left.handler = h.busy.Close(ctx) }},
	{"client.Client.Watch", 0, func(ctx context.Context, h *hole) {
		h.client.Watch(ctx)(func(client.Event) bool { return true })
	}},
	{"client.Client.NATSConn", 0, func(ctx context.Context, h *hole) { _, _ = h.client.NATSConn(ctx) }},
	{"client.RunnerFunc.Listen", 0, func(ctx context.Context, h *hole) { _ = client.RunnerFunc(h.client.Healthy).Listen(ctx) }},
	{"client.Run", drain + closing, func(ctx context.Context, h *hole) { _ = client.Run(ctx, h.running, h.idle[3]) }},
	{"publisher.Raw.Publish", 0, func(ctx context.Context, h *hole) {
		_ = h.raw.Publish(ctx, publisher.Message{Subject: subject, Data: []byte(`{}`)})
	}},
	{"publisher.Raw.PublishAsync", 0, func(ctx context.Context, h *hole) {
		_, _ = h.rawNarrow.PublishAsync(ctx, publisher.Message{Subject: subject, Data: []byte(`{}`)})
	}},
	{"listener.Raw.DeleteDurable", 0, func(ctx context.Context, h *hole) { _ = h.rawIdle[0].DeleteDurable(ctx) }},
	{"listener.Raw.Listen", drain, func(ctx context.Context, h *hole) { _ = h.rawIdle[1].Listen(ctx) }},
	{"publisher.Publisher.Publish", 0, func(ctx context.Context, h *hole) { _ = h.wide.Publish(ctx, beat{N: 1}) }},
	{"publisher.Publisher.PublishAsync", 0, func(ctx context.Context, h *hole) { _, _ = h.narrow.PublishAsync(ctx, beat{N: 1}) }},
	{"publisher.Publisher.PublishAll", 0, func(ctx context.Context, h *hole) {
		_, _ = h.wide.PublishAll(ctx, slices.Values([]beat{{N: 1}, {N: 2}}))
	}},
	{"publisher.Pending.Wait", 0, func(ctx context.Context, h *hole) { _ = h.pending.Wait(ctx) }},
	{"listener.Listener.DeleteDurable", 0, func(ctx context.Context, h *hole) { _ = h.idle[0].DeleteDurable(ctx) }},
	{"deadletter.Redrive", 0, func(ctx context.Context, h *hole) { _, _ = deadletter.Redrive(ctx, h.client, group, subject) }},
	{"listener.Listener.Listen", drain, func(ctx context.Context, h *hole) { _ = h.idle[1].Listen(ctx) }},
	{"listener.Listener.Listen, begun before", drain, func(ctx context.Context, h *hole) { _ = h.begun(ctx) }},
	{"listener.Listener.Listen, a handler hangs", drain, func(ctx context.Context, h *hole) { h.left.hanging = h.hanging(ctx) }},
	{"listener.Run", drain, func(ctx context.Context, h *hole) { _ = listener.Run(ctx, h.idle[2]) }},
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
				// Whether the connection could say so itself or not.
				require.ErrorContains(t, h.left.publish, "1 publish not confirmed")
				require.ErrorContains(t, h.left.handler, "1 handler still running (sequence 1)")
				require.ErrorContains(t, h.left.hanging, "1 handler still running (sequence 1)")
				t.Logf("left: %v; %v; %v", h.left.publish, h.left.handler, h.left.hanging)
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
	t.Logf("%s: %v after its deadline", b.name, late.Round(100*time.Microsecond))
	assert.LessOrEqual(t, late, b.more+span(100*time.Millisecond, 10*time.Second), "%s returned that long after its deadline", b.name)
	return late < 0
}

func newHole(t *testing.T, c *scene) *hole {
	t.Helper()
	options := append([]client.Option{client.Logger(slog.New(slog.DiscardHandler))}, c.side.options...)
	h := &hole{
		build: func(ctx context.Context, clientID string, opts ...client.Option) (*client.Client, error) {
			return client.Build(ctx, clusterID, clientID, c.url(), slices.Concat(options, opts)...)
		},
		fromEnv: func(ctx context.Context) (*client.Client, error) {
			return client.FromEnv(ctx, append(slices.Clone(options), client.NATS(nats.SetCustomDialer(elsewhere(c.link.Addr()))))...)
		},
	}
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
	listen := func(c *client.Client, group string, handle func()) *listener.Listener[beat] {
		l, err := listener.New(c, group, func(context.Context, beat, listener.Delivery) error { handle(); return nil }, listener.DrainTimeout(drain))
		require.NoError(t, err)
		return l
	}
	// begin returns the end of a Listen.
	begin := func(l *listener.Listener[beat]) func(context.Context) error {
		listening, stop := context.WithCancel(context.Background())
		ready, ended := l.Ready(), make(chan struct{})
		var err error
		go func() {
			defer close(ended)
			err = l.Listen(listening)
		}()
		t.Cleanup(func() { stop(); <-ended })
		<-ready
		return func(ctx context.Context) error {
			<-ctx.Done()
			stop()
			<-ended
			return err
		}
	}
	h.client, h.closing, h.busy = connect("client"), connect("closing"), connect("busy")
	h.running = connect("running", client.CloseTimeout(closing))
	narrow := connect("narrow", client.PublishWindow(1))
	h.wide, h.unfinished, h.narrow = publish(h.client), publish(h.closing), publish(narrow)
	var err error
	h.raw, err = publisher.NewRaw(h.client)
	require.NoError(t, err)
	h.rawNarrow, err = publisher.NewRaw(narrow)
	require.NoError(t, err)
	for _, group := range []string{"raw-deleted", "raw-listening"} {
		l, err := listener.NewRaw(h.client, subject, group, func(context.Context, []byte, listener.Delivery) error { return nil }, listener.DrainTimeout(drain))
		require.NoError(t, err)
		h.rawIdle = append(h.rawIdle, l)
	}
	nothing := func() {}
	h.idle = []*listener.Listener[beat]{
		listen(h.client, "deleted", nothing), listen(h.client, "listening", nothing), listen(h.client, "running", nothing), listen(h.running, "run", nothing),
	}
	h.begun = begin(listen(h.client, "begun", nothing))

	over, hangs := make(chan struct{}), make(chan struct{}, 2)
	t.Cleanup(func() { close(over) })
	hang := func() { hangs <- struct{}{}; <-over }
	h.hanging = begin(listen(h.client, "hanging", hang))
	begin(listen(h.busy, "busy", hang))
	require.NoError(t, h.wide.Publish(t.Context(), beat{N: 1}))
	for range cap(hangs) {
		<-hangs
	}
	return h
}

// elsewhere dials that address, whichever it is asked for.
type elsewhere string

func (e elsewhere) Dial(network, _ string) (net.Conn, error) {
	return net.DialTimeout(network, string(e), patience)
}

// TestDeadlinesAreComplete: nothing public that takes a context is left out.
func TestDeadlinesAreComplete(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, name := range []string{"client", "publisher", "listener", "deadletter"} {
		files, err := filepath.Glob(filepath.Join("..", "..", name, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || strings.HasSuffix(path, "_test.go") || !takesContext(f) || publicName(f) == "" {
					continue
				}
				if !strings.HasPrefix(publicName(f), "MemoryVersions.") { // which wait for nobody
					want = append(want, name+"."+publicName(f))
				}
			}
		}
	}
	for _, b := range calls {
		if name, _, also := strings.Cut(b.name, ","); !also {
			got = append(got, name)
		}
	}
	require.ElementsMatch(t, want, got)
}

// publicName is a function's name, with its type if it is a method; empty if others do not
// see it.
func publicName(f *ast.FuncDecl) string {
	name := f.Name.Name
	switch {
	case !f.Name.IsExported():
		return ""
	case f.Recv == nil:
		return name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if id, ok := of.(*ast.Ident); ok && id.IsExported() {
		return id.Name + "." + name
	}
	return ""
}

func takesContext(f *ast.FuncDecl) bool {
	params := f.Type.Params.List
	if len(params) == 0 {
		return false
	}
	of, ok := params[0].Type.(*ast.SelectorExpr)
	return ok && of.Sel.Name == "Context"
}
