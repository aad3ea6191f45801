package natsconn

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/transport"
)

// Watch reports what happens to a NATS connection.
type Watch struct {
	// Notify is called with each event except the end of the connection, see
	// transport.Config. nil: the event is logged.
	Notify func(transport.Event)
	Log    *slog.Logger
	// Disconnected, Reconnected and Closed are called, unless they are nil, one at a
	// time and in order, on a goroutine of nats.go.
	Disconnected func(error) // with the reason; nil if it was closed on purpose
	Reconnected  func()
	Closed       func(error)
	// Violated is called with each error of the server about a missing permission, in their
	// order, and Notify is not. nil: Notify is called as with other errors.
	Violated func(Violation)

	heard     heard
	forbidden atomic.Pointer[error]
	away      away
	refused   bool // the server has refused the credentials; nats.go calls one callback at a time
	cutting   cutting
}

// refusesCredentials is why a connection is degraded.
const refusesCredentials = "the NATS server refuses the credentials" //nolint:gosec // G101: it holds none

// Forbidden returns the server's last error about a missing permission, or nil.
func (w *Watch) Forbidden() error {
	if err := w.forbidden.Load(); err != nil {
		return *err
	}
	return nil
}

// Apply sets the callbacks of o.
func (w *Watch) Apply(o *nats.Options) {
	w.cutting.connected(w.Tell) // it is about to be, or this is not used
	o.ReconnectToServerCB = w.cutting.holdBack
	o.DisconnectedErrCB = func(nc *nats.Conn, err error) {
		if err != nil { // nil when it was closed on purpose
			w.Tell(transport.Event{Kind: transport.Disconnected, Err: err})
			w.away.begin(nc, w.Log)
			w.cutting.cut(w.Tell, err)
		}
		if w.Disconnected != nil {
			w.Disconnected(err)
		}
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		w.away.end()
		w.cutting.connected(w.Tell)
		w.Tell(transport.Event{Kind: transport.Reconnected, Server: nc.ConnectedUrlRedacted()})
		if w.refused {
			w.refused = false
			w.Tell(transport.Event{Kind: transport.Recovered, Reason: refusesCredentials})
		}
		if w.Reconnected != nil {
			w.Reconnected()
		}
		w.heard.note(func() { w.heard.reconnects = nc.Stats().Reconnects }) // which also counts attempts that failed
	}
	o.ClosedCB = func(nc *nats.Conn) {
		w.away.end()
		w.cutting.recover(w.Tell, transport.ErrClosed)
		if w.Closed != nil {
			w.Closed(nc.LastError())
		}
	}
	o.LameDuckModeHandler = func(nc *nats.Conn) {
		w.Tell(transport.Event{Kind: transport.LameDuck, Server: nc.ConnectedUrlRedacted()})
	}
	o.DiscoveredServersCB = func(nc *nats.Conn) {
		w.Tell(transport.Event{Kind: transport.ServersDiscovered, Server: Redact(strings.Join(nc.DiscoveredServers(), ","))})
	}
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) {
		reported := err
		defer w.heard.note(func() { w.heard.lastError = reported })
		if errors.Is(err, nats.ErrPermissionViolation) {
			w.forbidden.Store(&err)
		}
		if isUnauthorized(err) {
			w.refused = true
			w.Tell(transport.Event{Kind: transport.Degraded, Reason: refusesCredentials, Err: fmt.Errorf(
				"%w: renew the client's credentials, or admit them at the server; files are read again at each attempt: %w", transport.ErrUnauthorized, err)})
			return
		}
		if v, ok := readViolation(err); ok && w.Violated != nil {
			w.Violated(v)
			return
		}
		if errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
			err = fmt.Errorf("%w: raise the NATS server's max_subscriptions, of the account or the server; each listener needs a few", err)
		}
		kind := transport.AsyncError
		if errors.Is(err, nats.ErrSlowConsumer) {
			kind = transport.SlowConsumer
			err = explainDropped(sub, err)
		}
		if sub != nil {
			err = fmt.Errorf("inbox %s: %w", sub.Subject, err)
		}
		w.Tell(transport.Event{Kind: kind, Err: err})
	}
}

// Tell reports an event, with the current time.
func (w *Watch) Tell(e transport.Event) {
	e.Time = time.Now()
	if w.Notify != nil {
		w.Notify(e)
	} else {
		eventlog.Write(w.Log, e)
	}
}

// explainDropped names the limit because of which nats.go has dropped messages. The library's own
// subscriptions have none: what waits in them is bounded by what was asked for.
func explainDropped(sub *nats.Subscription, err error) error {
	if sub == nil {
		return err
	}
	messages, bytes, limitErr := sub.PendingLimits()
	dropped, droppedErr := sub.Dropped()
	if limitErr != nil || droppedErr != nil {
		return err // it is closed
	}
	return fmt.Errorf("%w, %d so far: the subscription holds at most %d messages and %d bytes that its handler has not taken; "+
		"raise that (SetPendingLimits of the subscription), or handle messages faster", err, dropped, messages, bytes)
}
