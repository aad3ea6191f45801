package client

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
	"github.com/sgtickets/common/transport/stan"
)

// Option is an option of [Build].
type Option func(*options) error

type options struct {
	clientID     string // of FromEnv, empty: from the environment
	logger       *slog.Logger
	loggedBytes  int // of a payload; 0: none
	window       int // of publishes in flight
	closeTimeout time.Duration

	nats             []nats.Option
	transport        transport.Dialer // nil: NATS Streaming, or JetStream
	jetStream        bool
	jetStreamOptions []jetstream.Option
	subjects         []string // those of option Subjects

	defaults  session.Defaults
	observers []observe.Observer
}

// defaultWindow keeps a link with a round trip of 1 ms busy at a million events a second,
// and bounds how many publishes a lost connection leaves with an unknown outcome.
const defaultWindow = 1024

func newOptions(opts []Option) (options, error) {
	o := options{window: defaultWindow, closeTimeout: defaultCloseTimeout}
	if err := option.Apply(transport.ErrInvalid, &o, opts); err != nil {
		return o, err
	}
	if o.logger == nil {
		o.logger = slog.Default()
	}
	o.logger = eventlog.Readable(o.logger)
	if o.transport != nil && o.nats != nil {
		return o, fmt.Errorf("%w option NATS: it would have no effect, since option Transport names another transport; give it to that one, "+
			"or leave one of the options out", transport.ErrInvalid)
	}
	if o.transport != nil && o.jetStream {
		return o, fmt.Errorf("%w option JetStream: it would have no effect, since option Transport names another transport; leave one of the options out", transport.ErrInvalid)
	}
	return o, nil
}

// dialer returns the transport that the options ask for.
func (o *options) dialer() transport.Dialer {
	if o.transport != nil {
		return o.transport
	}
	if o.jetStream {
		return jetstream.Dialer(append(slices.Clone(o.jetStreamOptions), jetstream.NATS(o.nats...))...)
	}
	return stan.Dialer(stan.NATS(o.nats...))
}

// Logger makes the client, its publishers and its listeners log to l. Default:
// slog.Default(). Durations are logged as texts such as "1.5s", also in JSON. Payloads are not logged, unless [LogPayloads] asks for them.
func Logger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return fmt.Errorf("%w option Logger: nil; slog.DiscardHandler makes one that is silent", transport.ErrInvalid)
		}
		o.logger = l
		return nil
	}
}

// LogPayloads adds the first n bytes of the payload to the log lines about an event that was
// not handled, such as one that can't be decoded. Default: no payloads, since they may hold
// personal data. n must be positive.
func LogPayloads(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option LogPayloads: %d; must be positive; leave it out for none", transport.ErrInvalid, n)
		}
		o.loggedBytes = n
		return nil
	}
}

// PublishWindow bounds how many publishes are in flight at a time, of all publishers of the
// client together; the next one waits. So at most n publishes end with an unknown outcome
// when the connection is lost. A publish that its deadline has ended frees its place: if the
// server does not answer for longer than that deadline, more than n end with an unknown
// outcome. Default 1024; at least 1.
func PublishWindow(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option PublishWindow: %d; must be at least 1", transport.ErrInvalid, n)
		}
		o.window = n
		return nil
	}
}

// NATS passes options to the NATS connection: a name (default: the client ID), TLS,
// credentials, a dialer, pings and so on. The connection of [Client.NATSConn] has the same
// options. Callbacks are called after the library's own. Build refuses the options that set
// what the library decides by itself: nats.MaxReconnects, nats.NoReconnect,
// nats.ReconnectBufSize and nats.RetryOnFailedConnect, and those that set the servers. May
// be given several times.
func NATS(opts ...nats.Option) Option {
	return func(o *options) error {
		if len(opts) == 0 {
			return fmt.Errorf("%w option NATS: it holds no option", transport.ErrInvalid)
		}
		o.nats = append(o.nats, opts...)
		return nil
	}
}

// Transport connects through dial instead of NATS Streaming. Package eventtest uses it, and
// so does a broker that this library does not know. Build refuses [JetStream], which names
// another transport, and [NATS], whose options dial would not get, beside it; and a Transport
// that is given twice. [Subjects] are told to dial.
func Transport(dial transport.Dialer) Option {
	return func(o *options) error {
		if dial == nil {
			return fmt.Errorf("%w option Transport: nil", transport.ErrInvalid)
		}
		if o.transport != nil {
			return fmt.Errorf("%w option Transport: given twice", transport.ErrInvalid)
		}
		o.transport = dial
		return nil
	}
}

// Observe tells o what becomes of the events of all listeners and publishers of the client,
// and what its components observe. Listeners and publishers may have further observers by
// options of their own. May be given several times: all are told, in that order.
func Observe(o observe.Observer) Option {
	return func(opts *options) error {
		if f, isFunc := o.(observe.Func); o == nil || isFunc && f == nil {
			return fmt.Errorf("%w option Observe: nil", transport.ErrInvalid)
		}
		opts.observers = append(opts.observers, o)
		return nil
	}
}
