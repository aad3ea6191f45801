package jetstream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/transport"
)

// Option sets an option of a [Dialer]. What is wrong with one is the error of
// each attempt to connect, and matches transport.ErrInvalid.
type Option func(*options) error

type options struct {
	nats      []nats.Option
	domain    string
	apiPrefix string // without the dot at its end

	bindOnly       bool
	addSubjects    bool
	fixedSubjects  bool
	updateStream   bool
	updateConsumer bool

	configured []string // transport.Config.Subjects
	subjects   []string // those of options Subjects and OnlySubjects
	only       bool     // subjects alone, and not configured
	// Those of the stream that were asked for; nil where the server's, or the
	// default of a new stream, will do.
	replicas    *int
	storage     *js.StorageType
	discard     *js.DiscardPolicy
	maxAge      *time.Duration
	maxBytes    *int64
	maxMessages *int64
	duplicates  *time.Duration

	maxAckPending *int
}

func newOptions(opts []Option) (options, error) {
	var o options
	if err := option.Apply(transport.ErrInvalid, &o, opts); errors.Is(err, transport.ErrInvalid) {
		return o, fmt.Errorf("JetStream: %w", err) // a nil one
	} else if err != nil {
		return o, fmt.Errorf("%w JetStream option %w", transport.ErrInvalid, err)
	}
	if err := o.contradiction(); err != nil {
		return o, fmt.Errorf("%w JetStream option %w", transport.ErrInvalid, err)
	}
	return o, nil
}

// contradiction finds options that would have no effect, or that the server refuses together.
func (o options) contradiction() error {
	if o.duplicates != nil && o.maxAge != nil && *o.duplicates > *o.maxAge {
		return fmt.Errorf("DuplicateWindow: %v is longer than MaxAge %v, and the server remembers no event for longer than it keeps it; shorten it, or raise MaxAge",
			*o.duplicates, *o.maxAge)
	}
	if o.addSubjects && o.fixedSubjects {
		return errors.New("AddSubjects: it contradicts FixedSubjects, which has the client add no subject; leave one of them out")
	}
	if o.apiPrefix != "" && o.domain != "" {
		return fmt.Errorf("APIPrefix: it contradicts Domain, which is the prefix $JS.%s.API; leave one of them out", o.domain)
	}
	if !o.bindOnly {
		return nil
	}
	for _, given := range []struct {
		set  bool
		name string
	}{
		{o.addSubjects, "AddSubjects"},
		{o.updateStream, "UpdateStream"},
		{o.updateConsumer, "UpdateConsumer"},
	} {
		if given.set {
			return fmt.Errorf("%s: it would have no effect beside BindOnly, which changes nothing", given.name)
		}
	}
	return nil
}

// NATS passes options to the NATS connection, as client.NATS does.
func NATS(opts ...nats.Option) Option {
	return func(o *options) error {
		o.nats = append(o.nats, opts...)
		return nil
	}
}

// Domain is the JetStream domain, where the servers have several; see
// https://docs.nats.io/running-a-nats-service/configuration/leafnodes/jetstream_leafnodes.
// Default: that of the server connected to.
func Domain(name string) Option {
	return func(o *options) error {
		if name == "" || strings.ContainsAny(name, " .*>") {
			return fmt.Errorf("Domain: %q can't be one", name)
		}
		o.domain = name
		return nil
	}
}

// APIPrefix is what the subjects of JetStream's API begin with, where an account imports another
// account's $JS.API.> under another name, such as JS.ORDERS.API for JS.ORDERS.API.STREAM.INFO.*.
// It takes the place of [Domain]. Default: $JS.API. The account has to import the subjects of the
// events and of their acknowledgements ($JS.ACK.<stream>.>), too, by the names that they have; see
// https://docs.nats.io/running-a-nats-service/configuration/securing_nats/accounts.
func APIPrefix(prefix string) Option {
	return func(o *options) error {
		prefix = strings.TrimSuffix(prefix, ".")
		if err := validSubject(prefix); err != nil {
			return fmt.Errorf("APIPrefix: %w", err)
		}
		if strings.ContainsAny(prefix, "*>") {
			return fmt.Errorf("APIPrefix: %q has a wildcard; name what stands before STREAM.INFO, as in JS.ORDERS.API", prefix)
		}
		o.apiPrefix = prefix
		return nil
	}
}

// BindOnly uses the stream and the consumers that are there and makes none, for
// accounts that lack the permission. Settings that differ are still reported.
func BindOnly() Option {
	return func(o *options) error { o.bindOnly = true; return nil }
}

// FixedSubjects leaves the subjects of a stream that exists as they are, for a stream whose
// configuration somebody else manages. By default the client adds the subject of each
// publisher and listener, and those that it is told with client.Subjects and [Subjects]. With
// FixedSubjects a publisher or listener whose subject the stream lacks fails, and its error
// says who has to add what. Consumers are made all the same; [BindOnly] makes none.
func FixedSubjects() Option {
	return func(o *options) error { o.fixedSubjects = true; return nil }
}

// AddSubjects adds the subjects of [OnlySubjects] that a stream lacks if the stream exists.
// Without OnlySubjects it has no effect: the client adds what it is told, and what it uses, by
// itself.
func AddSubjects() Option {
	return func(o *options) error { o.addSubjects = true; return nil }
}

// UpdateStream gives a stream that is there already the settings asked for that
// can be changed: replicas, limits, what is discarded, the duplicates window.
func UpdateStream() Option {
	return func(o *options) error { o.updateStream = true; return nil }
}

// UpdateConsumer gives consumers that are there already the settings asked for
// that can be changed: the ack wait, and with [MaxAckPending] the max ack pending. It also removes
// a backoff, which would replace the ack wait. Without UpdateConsumer the consumer keeps these,
// and the log warns of what differs. A limit of deliveries (max_deliver), at which the server
// gives an event up without a dead letter, is removed in any case where the client may do so.
func UpdateConsumer() Option {
	return func(o *options) error { o.updateConsumer = true; return nil }
}

// Subjects are subjects of the stream beside those of client.Subjects and dead.> for dead
// letters, such as those that services in other languages publish on. The stream is made with
// them, and one that exists gets those that it lacks; connecting fails if that can't be done.
// Nobody has to name the subjects that the client itself publishes or listens on. NATS
// wildcards are allowed. May be given several times.
func Subjects(names ...string) Option {
	return func(o *options) error { return addSubjects(o, "Subjects", names) }
}

// OnlySubjects are all the subjects that the client knows of, in place of those of
// client.Subjects and dead.> for dead letters: the streams of one account can't share a
// subject. The stream is made with these alone. The client adds no others by itself, and a
// stream that exists has to have these, or [AddSubjects] adds them. NATS wildcards are
// allowed. The dead letters of the stream's events need a subject of the stream, too, such as
// dead.*.billing:paid for those of billing:paid. No other stream of the account may have
// dead.> then, which a stream has that was made without OnlySubjects: the server refuses the
// second one.
func OnlySubjects(names ...string) Option {
	return func(o *options) error {
		o.only = true
		return addSubjects(o, "OnlySubjects", names)
	}
}

func addSubjects(o *options, option string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("%s: it names none", option)
	}
	for _, name := range names {
		if err := validSubject(name); err != nil {
			return fmt.Errorf("%s: %w", option, err)
		}
	}
	o.subjects = append(o.subjects, names...)
	return nil
}

// validSubject returns an error if a stream can't have the subject, which may be a pattern.
func validSubject(name string) error {
	if name == "" || strings.ContainsAny(name, " \t\r\n") || strings.Contains("."+name+".", "..") {
		return fmt.Errorf("%q can't be one: it is empty, or has a space or an empty token", name)
	}
	return nil
}

// Replicas is on how many servers the stream is kept, 1 to 5. Default 1.
func Replicas(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 5 {
			return fmt.Errorf("Replicas: %d; JetStream has 1 to 5, and survives the loss of one server with 3", n)
		}
		o.replicas = &n
		return nil
	}
}

// MemoryStorage keeps the stream in memory: it does not survive its servers.
// Default: in files. Of this and [FileStorage] the one that is given last counts.
func MemoryStorage() Option {
	return func(o *options) error {
		memory := js.MemoryStorage
		o.storage = &memory
		return nil
	}
}

// FileStorage insists on a stream kept in files, which is the default of a new one.
func FileStorage() Option {
	return func(o *options) error {
		file := js.FileStorage
		o.storage = &file
		return nil
	}
}

// DiscardOld drops the oldest events where a limit is reached, acknowledged or
// not, as NATS Streaming does. Default of a new stream: publishing is refused,
// so that nothing is lost in silence.
func DiscardOld() Option {
	return func(o *options) error {
		old := js.DiscardOld
		o.discard = &old
		return nil
	}
}

// MaxAge is how long events are kept, at least 100 ms. Default: for ever.
func MaxAge(d time.Duration) Option {
	return func(o *options) error {
		if d < 100*time.Millisecond {
			return fmt.Errorf("MaxAge: %v; must be at least 100 ms, and is without limit where the option is left out", d)
		}
		o.maxAge = &d
		return nil
	}
}

// MaxBytes is how large the stream may grow. Default: without limit.
func MaxBytes(n int64) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("MaxBytes: %d; must be at least 1, and is without limit where the option is left out", n)
		}
		o.maxBytes = &n
		return nil
	}
}

// MaxMessages is how many events the stream holds, of all subjects together.
// Default: without limit.
func MaxMessages(n int64) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("MaxMessages: %d; must be at least 1, and is without limit where the option is left out", n)
		}
		o.maxMessages = &n
		return nil
	}
}

// DuplicateWindow is how long the server remembers message IDs: a publish that
// is sent again within it, since the connection was lost, is stored once. At
// least 100 ms. Default of a new stream: 2 minutes, the server's own.
func DuplicateWindow(d time.Duration) Option {
	return func(o *options) error {
		if d < 100*time.Millisecond {
			return fmt.Errorf("DuplicateWindow: %v; must be at least 100 ms", d)
		}
		o.duplicates = &d
		return nil
	}
}

// MaxAckPending is how many unacknowledged events a consumer, that is all members of a queue
// group together, may have. Default of a new consumer: without limit, since each member is
// bounded by its MaxInFlight. Events that wait for their next attempt count, too: when as
// many as n wait, no other event comes until one is tried again. The client is degraded then.
func MaxAckPending(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("MaxAckPending: %d; must be at least 1, and is without limit where the option is left out", n)
		}
		o.maxAckPending = &n
		return nil
	}
}
