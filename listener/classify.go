package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/transport"
)

// Classify tells the kinds of errors apart in one place, instead of in each handler: f is
// called with what a handler, its [Middleware] included, returned or gave to [Delivery.Nak],
// and returns what becomes of the event:
//
//   - [Reject](err): trying again can't help, as after a unique violation.
//   - [RetryAfter](d, err): it is tried again after d, as when a service is overloaded that says
//     for how long.
//   - [Defer](d): it can't be handled yet, which uses no attempt.
//   - anything else, such as err itself or nil: it is tried again after its [Backoff], as after
//     a lost connection.
//
// What f returns need not hold err: the log and the dead letter tell of both.
//
// f is not called for an error that says by itself what becomes of the event: one that matches
// Reject, RetryAfter, Defer or [ErrVersionGap]. Nor is it for panics, for payloads that can't be
// decoded and for events that [ManualAck] left open. It can't acknowledge: only a handler that
// returns nil has handled its event.
//
// f is called by the goroutine that ran the handler, or called Nak, and has to be safe for
// concurrent use. If it panics, the log says so and the event is tried again after its Backoff.
// The option of a listener replaces that of its client's [Defaults]; given several times, the
// last one counts. A nil f is refused.
func Classify(f func(err error) error) Option {
	return func(o *options) error {
		if f == nil {
			return fmt.Errorf("%w option Classify: nil; leave it out", transport.ErrInvalid)
		}
		o.classify = f
		return nil
	}
}

// classify returns what option Classify makes of the error that a handler returned.
func (r *runner) classify(t *schedule.Task, err error) (classified error) {
	f := r.core.options.classify
	if f == nil {
		return err
	}
	defer func() { // also where the error's own methods panic
		if p := recover(); p != nil {
			r.log.Error("option Classify panicked: the event is tried again", r.attributes(t, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			classified = err
		}
	}()
	if decidesByItself(err) {
		return err
	}
	said := f(err)
	if said == nil {
		return err
	}
	if a, ok := errors.AsType[*retryError](said); ok && a.err == nil {
		return &retryError{delay: a.delay, err: err, deferred: a.deferred}
	}
	if a, ok := errors.AsType[*rejectedError](said); ok && a.err == nil {
		return Reject(err)
	}
	if errors.Is(said, err) {
		return said
	}
	return fmt.Errorf("%w: %w", said, err)
}

// decidesByItself reports whether an error says what becomes of the event.
func decidesByItself(err error) bool {
	_, retry := errors.AsType[*retryError](err)
	_, rejected := errors.AsType[*rejectedError](err)
	return retry || rejected || errors.Is(err, ErrVersionGap)
}
