package natsconn

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

// Watch logs what happens to a NATS connection, and tells its owner.
type Watch struct {
	Log *slog.Logger
	// Notify, unless it is nil, is told of what is no end: see transport.Config.
	Notify func(transport.Event)
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
		if err != nil {
			w.tell(transport.Event{Kind: transport.Disconnected, Err: err})
		}
		call(w.Disconnected)
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		w.Log.Info("reconnected to the NATS server", slog.String("url", nc.ConnectedUrlRedacted()))
		w.tell(transport.Event{Kind: transport.Reconnected, Server: nc.ConnectedUrlRedacted()})
		call(w.Reconnected)
	}
	o.ClosedCB = func(nc *nats.Conn) {
		if w.Closed != nil {
			w.Closed(nc.LastError())
		}
	}
	o.LameDuckModeHandler = func(nc *nats.Conn) {
		w.Log.Warn("the NATS server is about to shut down", slog.String("url", nc.ConnectedUrlRedacted()))
		w.tell(transport.Event{Kind: transport.LameDuck, Server: nc.ConnectedUrlRedacted()})
	}
	o.DiscoveredServersCB = func(nc *nats.Conn) {
		w.tell(transport.Event{Kind: transport.ServersDiscovered, Server: Redact(strings.Join(nc.DiscoveredServers(), ","))})
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
		kind := transport.AsyncError
		if errors.Is(err, nats.ErrSlowConsumer) {
			kind = transport.SlowConsumer
		}
		w.tell(transport.Event{Kind: kind, Err: err})
	}
}

func (w *Watch) tell(e transport.Event) {
	if w.Notify != nil {
		e.Time = time.Now()
		w.Notify(e)
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}
