package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/sgtickets/common/internal/together"
	"github.com/sgtickets/common/transport"
)

// Runner is what [Run] runs: every listener, any type of a service that embeds one, and
// whatever else works until its context is done. Listen returns nil when it has ended in
// order, and otherwise why not.
type Runner interface {
	Listen(ctx context.Context) error
}

// RunnerFunc is a function as a [Runner].
type RunnerFunc func(ctx context.Context) error

// Listen calls f.
func (f RunnerFunc) Listen(ctx context.Context) error {
	if f == nil {
		return fmt.Errorf("%w RunnerFunc: nil", transport.ErrInvalid)
	}
	return f(ctx)
}

// defaultCloseTimeout leaves most of the 30 s that Kubernetes waits to the handlers.
const defaultCloseTimeout = 10 * time.Second

// CloseTimeout bounds how long [Run] waits for the client to close, once its runners have
// ended. Default 10 s; must be positive.
func CloseTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option CloseTimeout: %v; must be positive", transport.ErrInvalid, d)
		}
		o.closeTimeout = d
		return nil
	}
}

// Run is the frame of a service: it runs the runners side by side until the service is to
// end, and then closes the client.
//
//	func run(ctx context.Context) error {
//		c, err := client.FromEnv(ctx)
//		if err != nil {
//			return err
//		}
//		l, err := listener.New(c, "orders", handle, listener.DrainTimeout(15*time.Second))
//		if err != nil {
//			return err
//		}
//		return client.Run(ctx, c, l)
//	}
//
// The end comes when ctx is done, with the process's first SIGINT or SIGTERM, when a runner
// fails, when all runners have returned, or when the client is over. Run then ends the
// context of the runners and waits for all of them: a listener finishes its running handlers
// within its DrainTimeout. At last Run closes the client, within its [CloseTimeout]. A second
// signal ends the process at once, as it does without Run. Without runners, Run waits for the
// end, for a service that only publishes.
//
// Don't give Run a context of signal.NotifyContext: that holds the signals, too, so that a
// second one does not end the process.
//
// Run returns nil when all of that went in order, and otherwise the errors of the runners and
// of [Client.Close], joined; an error that matches [ErrConnectionLost] if the connection was
// lost for good; and [ErrInvalid] if ctx, c or a runner is nil, a nil RunnerFunc too. In any case
// the client is closed when Run returns.
//
// A runner that panics has failed: Run logs the panic with its stack, ends the others in
// order, and returns an error that names the runner, as a handler that panics does not end
// the process either. So has one that calls runtime.Goexit, as a test's FailNow does. Run
// does not see panics on goroutines that a runner starts.
//
// Kubernetes kills a process 30 s after its SIGTERM, unless terminationGracePeriodSeconds
// says otherwise. DrainTimeout (default 30 s) and CloseTimeout (default 10 s) together must
// be shorter than that: raise it, or lower them.
//
// Several calls in one process, each with a client of its own, all end with a signal. Package
// os/signal does not work within a bubble of testing/synctest; tests in one use listener.Run,
// which is Run without signals and without closing.
func Run(ctx context.Context, c *Client, runners ...Runner) error {
	if err := c.check(ctx); err != nil {
		err = fmt.Errorf("run: %w", err)
		if c.made() {
			err = errors.Join(err, c.closeInTime(context.Background()))
		}
		return err
	}
	for i, r := range runners {
		if f, isFunc := r.(RunnerFunc); r == nil || isFunc && f == nil {
			err := fmt.Errorf("run: %w runner %d of %d: nil", transport.ErrInvalid, i+1, len(runners))
			return errors.Join(err, c.closeInTime(ctx))
		}
	}
	working, end := context.WithCancel(ctx)
	defer end()
	stop := c.onSignal(end)
	defer stop()
	err := c.work(working, end, runners)
	if lost := c.Err(); lost != nil && !errors.Is(lost, ErrClosed) {
		err = errors.Join(err, fmt.Errorf("client %q: %w", c.clientID, lost))
	}
	return errors.Join(err, c.closeInTime(ctx))
}

// work runs the runners until ctx is done, one fails, all have returned or the client is over.
func (c *Client) work(ctx context.Context, end context.CancelFunc, runners []Runner) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	defer end()
	watching.Go(func() {
		select {
		case <-c.Done():
			end()
		case <-ctx.Done():
		}
	})
	if len(runners) == 0 {
		<-ctx.Done()
		return nil
	}
	functions := make([]func(context.Context) error, len(runners))
	for i, r := range runners {
		functions[i] = func(ctx context.Context) error {
			return c.listen(ctx, r, fmt.Sprintf("runner %d of %d", i+1, len(runners)))
		}
	}
	return together.Run(ctx, functions)
}

// listen calls the runner. A panic is an error.
func (c *Client) listen(ctx context.Context, r Runner, name string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.monitor.log.Error("a runner panicked: the service ends", slog.String("runner", name),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("%s (%T) panicked: %v", name, r, p)
		}
	}()
	return r.Listen(ctx)
}

// onSignal calls end at the first SIGINT or SIGTERM, unless stop is called before. From then
// on the signals do what they do by default.
func (c *Client) onSignal(end func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			c.monitor.log.Info("the service ends: signal received; another one ends the process at once", slog.String("signal", s.String()))
			end()
		case <-stopped:
		}
	})
	return func() {
		signal.Stop(signals)
		close(stopped)
		waiting.Wait()
	}
}

// closeInTime closes the client within its CloseTimeout, though ctx may be done.
func (c *Client) closeInTime(ctx context.Context) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.closeTimeout)
	defer cancel()
	return c.Close(closing)
}
