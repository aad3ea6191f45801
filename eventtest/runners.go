package eventtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
)

// listenTimeout is how long Listen waits until a listener listens.
const listenTimeout = 10 * time.Second

// Listen makes listeners listen for the length of the test. It returns when all of them have
// subscribed, so that nothing that is published afterwards is missed, not even by a listener
// that begins at what is new:
//
//	eventtest.Listen(t, orders.Tickets, orders.Expirations)
//
// At the end of the test, in a t.Cleanup, it ends their context and waits until all have
// drained. The test fails if one of them ends with an error, now or later, or if it needs
// more than 10 s to begin or to end. stop does the same earlier; calling it again does
// nothing.
//
// A runner is whatever client.Run takes: a listener, a type that embeds one, or a
// client.RunnerFunc. Listen can wait for a runner to subscribe only if it has the method
// Ready of a listener; another one runs, but may not have subscribed yet. Clients of real
// servers will do, too, and so does a synctest bubble. [Deliver] makes a listener listen by
// itself, and refuses one that listens.
func Listen(t testing.TB, runners ...listener.Runner) (stop func()) {
	t.Helper()
	if len(runners) == 0 {
		t.Fatal("eventtest.Listen: there is nothing to run; give it at least one listener")
	}
	for i, r := range runners {
		if f, isFunc := r.(client.RunnerFunc); r == nil || isFunc && f == nil {
			t.Fatalf("eventtest.Listen: runner %d of %d is nil", i+1, len(runners))
		}
	}
	ctx, end := context.WithCancel(context.Background())
	all := make([]*running, len(runners))
	for i, r := range runners {
		all[i] = &running{t: t, name: fmt.Sprintf("runner %d of %d (%T)", i+1, len(runners), r), ended: make(chan struct{})}
	}
	stop = sync.OnceFunc(func() {
		t.Helper()
		end()
		ending, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		for _, r := range all {
			r.awaitEnd(ending)
		}
	})
	t.Cleanup(stop)
	for i, r := range runners {
		all[i].run(ctx, r)
	}
	beginning, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	for _, r := range all {
		if err := r.awaitReady(beginning); err != nil {
			t.Fatalf("eventtest.Listen: %v", err)
		}
	}
	return stop
}

// running is a runner that Listen has made listen.
type running struct {
	t     testing.TB
	name  string
	ready <-chan struct{} // closed when it has subscribed
	ended chan struct{}   // closed when it has returned

	mu        sync.Mutex
	abandoned bool // nobody waits for its end any more: the test may be over
}

// run calls the runner's Listen on a goroutine of its own.
func (r *running) run(ctx context.Context, runner listener.Runner) {
	if l, ok := runner.(interface{ Ready() <-chan struct{} }); ok {
		r.ready = l.Ready()
	} else { // it does not tell
		ready := make(chan struct{})
		close(ready)
		r.ready = ready
	}
	go func() {
		defer close(r.ended)
		err := errors.New("it ended its goroutine with runtime.Goexit (a test's FailNow does so)")
		defer func() { r.end(err) }()
		err = runner.Listen(ctx)
	}()
}

// end reports the error with which the runner has ended.
func (r *running) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !r.abandoned {
		r.t.Errorf("eventtest.Listen: %s ended: %v", r.name, err)
	}
}

// awaitReady waits until the runner has subscribed.
func (r *running) awaitReady(ctx context.Context) error {
	select {
	case <-r.ready:
		return nil
	case <-r.ended: // without subscribing; an error is reported
		return fmt.Errorf("%s ended before it listened", r.name)
	case <-ctx.Done():
		return fmt.Errorf("%s does not listen after %v; is its client connected?", r.name, listenTimeout)
	}
}

// awaitEnd waits until the runner has returned.
func (r *running) awaitEnd(ctx context.Context) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-ctx.Done():
		r.mu.Lock()
		r.abandoned = true
		r.mu.Unlock()
		r.t.Errorf("eventtest.Listen: %s still runs %v after its context has ended; see to it that handlers return when their context ends", r.name, closeTimeout)
	}
}
