package natsconn

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Watch logs what happens to a NATS connection, and tells its owner.
type Watch struct {
	Log *slog.Logger
	// Disconnected, Reconnected and Closed are called, unless they are nil, one at a
	// time and in order, on a goroutine of nats.go.
	Disconnected, Reconnected func()
	Closed                    func(error)

	forbidden atomic.Pointer[error]
}

// Forbidden returns the last permission that the server said is missing, or nil.
func (w *Watch) Forbidden() error {
	if err := w.forbidden.Load(); err != nil {
		return *err
	}
	return nil
}

// Apply sets the callbacks.
func (w *Watch) Apply(o *nats.Options) {
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) {
		if err != nil { // nil when it was closed on purpose
			w.Log.Warn("connection to the NATS server lost; reconnecting", slog.Any("error", err))
		}
		call(w.Disconnected)
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		w.Log.Info("reconnected to the NATS server", slog.String("url", nc.ConnectedUrlRedacted()))
		call(w.Reconnected)
	}
	o.ClosedCB = func(nc *nats.Conn) {
		if w.Closed != nil {
			w.Closed(nc.LastError())
		}
	}
	o.LameDuckModeHandler = func(nc *nats.Conn) {
		w.Log.Warn("the NATS server is about to shut down", slog.String("url", nc.ConnectedUrlRedacted()))
	}
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			w.forbidden.Store(&err)
		}
		attrs := []any{slog.Any("error", err)}
		if sub != nil {
			attrs = append(attrs, slog.String("inbox", sub.Subject))
		}
		w.Log.Warn("asynchronous error of the NATS connection", attrs...)
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}
