package listener

import (
	"fmt"
	"math"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Option is an option of [New], [NewRaw] and [NewDeadLetters].
type Option func(*options) error

type options struct {
	durable      string // empty: none
	durableSet   bool
	ephemeral    bool
	ackWait      time.Duration
	maxInFlight  int // 0: not set
	concurrency  int
	manualAck    bool
	timeout      time.Duration // of a handler; 0: none
	drainTimeout time.Duration
	start        Position
	codec        codec.Codec // nil: JSON
	validate     bool
	keys         []any // each a func(T) string: a client's default for each type. Of those that fit, the last counts
	middleware   []Middleware
	versions     VersionStore // nil: in whatever order they come
	observers    []observe.Observer
	noDefaults   bool
	giveBack     bool // at the end of Listen, what waits for its delay at the broker

	passed [][]any // what is to be logged of the defaults that the listener can't use

	maxAttempts       int
	backoff           backoff.Policy
	classify          func(error) error // nil: errors say by themselves what becomes of the event
	versionGapTimeout time.Duration
	noDeadLetters     bool

	stallTimeout         time.Duration // 0: see StallTimeout
	stopAfterUndecodable int           // 0: it goes on
}

const (
	defaultAckWait      = 5 * time.Second
	defaultDrainTimeout = 30 * time.Second
	// inFlightPerWorker is how many events wait for each running handler, so that
	// the next one is there when it returns.
	inFlightPerWorker = 16
)

// DurableName makes the server remember under that name how far the listener
// has come. The default is the queue group's name. Both names are part of what
// the server remembers: change either and it begins anew. No ':' is allowed: the
// server joins the two names with one.
//
// With an empty queue group, the server ties the durable to the client ID; one
// that [client.FromEnv] generated is refused.
func DurableName(name string) Option {
	return func(o *options) error {
		if err := validName("DurableName", name); err != nil {
			return err
		}
		o.durable, o.durableSet = name, true
		return nil
	}
}

// Ephemeral makes the server forget the listener, or its queue group with the
// last member, as soon as it leaves. It can't be combined with [DurableName].
//
// An event that ends its process becomes a dead letter (events.DeadLetterCrashed) only where the
// server delivers it again, which it does not do to an ephemeral listener over NATS Streaming, nor
// over JetStream to one without a queue group.
//
// To the NATS Streaming server the ephemeral group "a:b" is the same as the group "b" with the
// durable name "a".
func Ephemeral() Option {
	return func(o *options) error {
		o.ephemeral = true
		return nil
	}
}

// AckWait is how long the server waits for an acknowledgement before it delivers
// the event again, to any member of the group. Default 5 s; must be positive,
// and over NATS Streaming whole seconds. There it must be longer than a handler
// takes: one that has used 80 % of it is warned of in the log. Elsewhere it is begun
// anew as long as the handler runs.
func AckWait(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option AckWait: %v; must be positive", transport.ErrInvalid, d)
		}
		o.ackWait = d
		return nil
	}
}

// MaxInFlight bounds how many events that are not acknowledged yet the server delivers to
// this listener. Default 16 for each of [Concurrency]; at least Concurrency. Over NATS
// Streaming an event that no handler can begin within its ack wait is delivered again. The
// listener logs a warning when its handlers are too slow for the events that wait.
func MaxInFlight(n int) Option {
	return func(o *options) error {
		if n < 1 || n > math.MaxInt32 {
			return fmt.Errorf("%w option MaxInFlight: %d; must be from 1 to %d", transport.ErrInvalid, n, math.MaxInt32)
		}
		o.maxInFlight = n
		return nil
	}
}

// Concurrency is how many handlers of this listener run at a time. Default 1:
// events are handled one after another, in the order of delivery. At least 1.
func Concurrency(n int) Option {
	return func(o *options) error {
		if n < 1 || n > math.MaxInt32/inFlightPerWorker {
			return fmt.Errorf("%w option Concurrency: %d; must be from 1 to %d", transport.ErrInvalid, n, math.MaxInt32/inFlightPerWorker)
		}
		o.concurrency = n
		return nil
	}
}

// ManualAck leaves it to the handler to settle each event, with [Delivery.Ack] or
// [Delivery.Nak], before it returns or later and from any goroutine. A handler
// that returns nil settles nothing; one that returns an error does the same as Nak.
// What is not settled one ack wait after the handler returned counts as a failed
// attempt; an Ack that comes later still counts, unless the next attempt runs by
// then.
func ManualAck() Option {
	return func(o *options) error {
		o.manualAck = true
		return nil
	}
}

// HandlerTimeout ends the context of a handler that long after it began. By default only the
// end of the drain ends it. Must be positive. When its context ends, a handler should return
// an error. If it returns nil all the same, its event is acknowledged.
func HandlerTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option HandlerTimeout: %v; must be positive; leave it out for none", transport.ErrInvalid, d)
		}
		o.timeout = d
		return nil
	}
}

// DrainTimeout is how long the end of Listen and Close wait for handlers that
// run, and with [ManualAck] for events that are not settled, and then for the server to
// confirm that the listener leaves. Hung handlers delay Listen by less than 0.1 s.
// Default 30 s; must be positive. Kubernetes kills a pod as long after its SIGTERM, unless told otherwise
// (terminationGracePeriodSeconds): there, set less, such as 20 s, or raise that.
func DrainTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option DrainTimeout: %v; must be positive", transport.ErrInvalid, d)
		}
		o.drainTimeout = d
		return nil
	}
}

// StartAt is where the listener begins if the server does not know its durable, or its group,
// yet. Default [All]. If the server knows it already, StartAt has no effect: the durable or the
// group goes on where it stopped. The listener logs a warning if the first event shows this.
// Over JetStream it also logs a warning at once if this library made the consumer for another
// position. If such a consumer has delivered nothing yet, Listen is refused instead, with an
// error that matches client.ErrInvalid. Two times count as one position there. A consumer that
// others made is taken as it is.
func StartAt(p Position) Option {
	return func(o *options) error {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("option StartAt: %w", err)
		}
		o.start = p
		return nil
	}
}

// OrderingKey keeps the events of one key in order: those whose key is equal are handled
// one after another, in the order in which they were stored, while those of other keys go
// on. The next one begins when the one before it is handled or stored as a dead letter: an
// event that fails holds up its key, and no other, until it succeeds or is given up. With
// [ManualAck] the next one begins when the one before it is settled. With a [Concurrency] of
// 1 events begin in the order of delivery anyway: there the key matters only behind an event
// that failed.
//
// Over NATS Streaming an event that can't be held any longer within its ack wait
// holds up its key until it comes again; in a queue group, where another member may
// get it, for two ack waits at most, and without one for twelve. Those that wait
// count among [MaxInFlight]. The type of event must be the listener's, or New
// refuses it. Of the client's [Defaults], which may hold one for each type, the last of the
// listener's type counts, and those of other types are passed over.
func OrderingKey[T events.Event](key func(T) string) Option {
	return func(o *options) error {
		if key == nil {
			return fmt.Errorf("%w option OrderingKey: nil", transport.ErrInvalid)
		}
		o.keys = append(o.keys, key)
		return nil
	}
}

// Codec decodes the events with c instead of [codec.JSON].
func Codec(c codec.Codec) Option {
	return func(o *options) error {
		if option.IsNil(c) {
			return fmt.Errorf("%w option Codec: nil", transport.ErrInvalid)
		}
		o.codec = c
		return nil
	}
}

// Validate treats an event that its own Validate method refuses like one that
// can't be decoded: it becomes a dead letter at once. By default what decodes is handled. New refuses it for an
// event that has no such method; among the client's [Defaults] it is passed over for those.
func Validate() Option {
	return func(o *options) error {
		o.validate = true
		return nil
	}
}

// WithoutDefaults makes the listener one without the client's [Defaults]: only its own
// options count. It is for tools that have to work alike whatever client they are given.
func WithoutDefaults() Option {
	return func(o *options) error {
		o.noDefaults = true
		return nil
	}
}

// newOptions applies the client's defaults and the listener's own options. Own options that
// can't be used for the listener's events are refused, and defaults that can't are passed over.
func newOptions(defaults, own []Option, kind eventKind) (options, error) {
	var given options
	if err := apply(own, &given); err != nil {
		return given, err
	}
	if err := kind.refuse(&given); err != nil {
		return given, err
	}
	o := options{
		ackWait: defaultAckWait, concurrency: 1,
		drainTimeout: defaultDrainTimeout, start: All,
		maxAttempts: defaultMaxAttempts, backoff: backoff.Policy{First: defaultFirstBackoff, Max: defaultMaxBackoff},
		versionGapTimeout: defaultVersionGapTimeout,
	}
	if !given.noDefaults {
		if err := apply(defaults, &o); err != nil {
			return o, err
		}
	}
	o.passOver(&given, kind)
	if err := apply(own, &o); err != nil {
		return o, err
	}
	if o.maxInFlight == 0 {
		o.maxInFlight = inFlightPerWorker * o.concurrency
	}
	if o.codec == nil {
		o.codec = codec.JSON{}
	}
	return o, nil
}

// needType returns the names of the options that were given and need a type of events.
func (o *options) needType() (names []string) {
	for _, option := range []struct {
		name  string
		given bool
	}{
		{"OrderingKey", o.keys != nil},
		{"InVersionOrder", o.versions != nil},
		{"Validate", o.validate},
		{"Codec", o.codec != nil},
		{"Use", len(o.middleware) > 0},
	} {
		if option.given {
			names = append(names, option.name)
		}
	}
	return names
}

// forgetType takes back the options that need a type of events.
func (o *options) forgetType() {
	o.keys, o.versions, o.validate, o.codec, o.middleware = nil, nil, false, nil, nil
}

func apply(opts []Option, o *options) error {
	return option.Apply(transport.ErrInvalid, o, opts)
}

// check sets the durable's name, and checks the options against one another, the queue
// group and what the broker can do.
func (o *options) check(group string, generatedID bool, features transport.Features) error {
	if !o.durableSet && !o.ephemeral {
		o.durable = group
	}
	if err := o.checkNames(group); err != nil {
		return err
	}
	unit := features.AckWaitUnit
	switch {
	case o.ephemeral && o.durableSet:
		return fmt.Errorf("%w options Ephemeral and DurableName: they exclude one another", transport.ErrInvalid)
	case o.durable != "" && group == "" && generatedID:
		return fmt.Errorf("%w option DurableName %q: without a queue group the server ties a durable to the client ID, and this one was generated: "+
			"every start could begin anew and leave an orphan behind; set NATS_CLIENT_ID, give a queue group, or use Ephemeral", transport.ErrInvalid, o.durable)
	case unit > 0 && o.ackWait%unit != 0:
		return fmt.Errorf("%w option AckWait: %v; this broker takes multiples of %v; use %v", transport.ErrInvalid, o.ackWait, unit, o.ackWait.Truncate(unit)+unit)
	case o.maxInFlight < o.concurrency:
		return fmt.Errorf("%w option MaxInFlight: %d is less than Concurrency %d, which could not be reached; raise MaxInFlight, or lower Concurrency",
			transport.ErrInvalid, o.maxInFlight, o.concurrency)
	case !features.InProgress && o.timeout >= o.ackWait:
		return fmt.Errorf("%w option HandlerTimeout: %v is not less than AckWait %v, which this broker can't extend: the event would come again while its handler runs; "+
			"raise AckWait, or lower HandlerTimeout", transport.ErrInvalid, o.timeout, o.ackWait)
	case o.versions != nil && o.manualAck:
		return fmt.Errorf("%w options InVersionOrder and ManualAck: a version is set when the handler has succeeded, which with ManualAck its return does not say; "+
			"leave one of them out", transport.ErrInvalid)
	case o.versions != nil && o.keys != nil:
		return fmt.Errorf("%w options InVersionOrder and OrderingKey: the key would keep a missing event behind those that wait for it; "+
			"leave it out, the events of an entity are in order without it", transport.ErrInvalid)
	}
	return nil
}
