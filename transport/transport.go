package transport

import (
	"context"
	"log/slog"
	"time"
)

// Dialer makes one attempt to connect. It returns when ctx is done at the
// latest. Its error matches one of the sentinels of this package as far as the
// cause is known; [Permanent] tells whether another attempt can help.
type Dialer func(ctx context.Context, cfg Config) (Conn, error)

// Config says what to connect to, and as whom.
type Config struct {
	ClusterID string // the streaming server's cluster ID, or the name of the stream
	ClientID  string
	// Subjects are those that the broker is to store from the beginning, where it has to be
	// told; patterns where it has them. Others are added when they are used; see [SubjectAdder].
	Subjects []string
	// DeadLetters is the one of Subjects that takes dead letters. A broker that is there already
	// and can't store all of it is used as it is. Empty: there is none.
	DeadLetters string
	URL         string       // of a server, or of several, separated by commas
	Logger      *slog.Logger // nil: nothing is logged

	// Notify, unless it is nil, is told what happens to the connection, and logs it,
	// so that the transport does not. It must not block, nor call the connection, and
	// be safe for concurrent use.
	Notify func(Event)
}

// Conn is a connection to a broker. All its methods are safe for concurrent use.
type Conn interface {
	// Features returns what the broker can do. It does not change.
	Features() Features

	// Publish starts to store m, and does not wait for the broker. r.Done is
	// called exactly once, from any goroutine, possibly before Publish returns:
	// with nil once the broker has stored m, and otherwise with an error that
	// matches either ErrNotStored or ErrOutcomeUnknown. m.Data is the caller's again
	// when Publish returns: what is needed later is copied. m.Header belongs to the
	// transport for good. After Done is closed or Close has begun, the outcome is
	// ErrNotStored.
	Publish(m Message, r Receipt) Ticket

	// Abandon ends the wait for a publish: its receipt is settled now, if it was
	// not before, with ErrNotStored if the message never left and will not, and
	// with ErrOutcomeUnknown otherwise.
	Abandon(t Ticket)

	// Subscribe begins to receive. deliver is called for one message at a time,
	// in the order in which they arrive; it must not block. It may be called
	// before Subscribe has returned.
	Subscribe(ctx context.Context, s SubscribeConfig, deliver func(Delivery)) (Subscription, error)

	// DeleteDurable makes the broker forget the durable that s names, and
	// succeeds if there is none. The broker may keep it while it has members.
	DeleteDurable(ctx context.Context, s SubscribeConfig) error

	// Ping makes a round trip to the broker, not only to the server that it runs on.
	// It returns when ctx is done at the latest.
	Ping(ctx context.Context) error

	// Done is closed when the connection is over: closed, or lost for good.
	Done() <-chan struct{}

	// Err is nil until Done is closed; then it says why, ErrClosed after Close.
	Err() error

	// Close waits, until ctx is done at the latest, for the publishes under way,
	// then closes what subscriptions are left (durables are kept) and the
	// connection. What is still under way by then ends as ErrOutcomeUnknown.
	// Closing again is no error and does nothing.
	Close(ctx context.Context) error
}

// SubjectChecker is implemented by a Conn whose broker stores some subjects only.
type SubjectChecker interface {
	// CheckSubject returns nil if the broker stores what is published to the subject, which
	// is added first if it has to be and this client may. An error that matches ErrInvalid
	// says what to do. Other errors mean that it could not be found out.
	CheckSubject(ctx context.Context, subject string) error
}

// SubjectAdder is implemented by a Conn whose broker stores some subjects only, and to which
// clients can add others.
type SubjectAdder interface {
	// Takes reports whether nothing has to be done before a message of that subject is
	// published: the broker stores it, as far as is known here, or this client adds no
	// subjects. It does not ask the broker, and allocates nothing.
	Takes(subject string) bool

	// AddSubject has the broker store what is published to the subject. It returns when that
	// is so, or ctx is done. An error that matches ErrInvalid says why the subject can't be
	// added, and what to do; if the client lacks the permission, it matches ErrForbidden,
	// too. Other errors mean that it could not be found out.
	AddSubject(ctx context.Context, subject string) error
}

// MessageReader is implemented by a Conn whose broker can be asked for one stored message.
type MessageReader interface {
	// ReadMessage returns the first message of a subject at or after a position, which is a
	// sequence, or the last one for [LastReceived]. found is false if there is none. The
	// delivery can't be settled. The error matches [ErrUnsupported] if that is to be read by a
	// subscription.
	ReadMessage(ctx context.Context, subject string, from Position) (d Delivery, found bool, err error)
}

// Receipt is told what became of a publish. Done must not block. It is an
// interface and not a function, so that a publish need not allocate one.
type Receipt interface {
	Done(err error)
}

// ReceiptFunc is a function as a [Receipt].
type ReceiptFunc func(error)

// Done calls f.
func (f ReceiptFunc) Done(err error) { f(err) }

// Ticket names one call of [Conn.Publish] on its Conn.
type Ticket uint64

// Features are what a broker can do, beyond storing and delivering.
type Features struct {
	// Headers: messages carry headers.
	Headers bool
	// Nak: a delivery can be sent back at once or after a delay.
	Nak bool
	// InProgress: the ack wait of a delivery can be begun anew.
	InProgress bool
	// Term: a delivery can be ended without being acknowledged as handled.
	Term bool
	// Deduplicate: a message ID keeps a publish that is sent twice from being
	// stored twice.
	Deduplicate bool
	// Wildcards: a subscription's subject can be a pattern, in which '*' stands for
	// one token between dots and '>' at the end for one or more.
	Wildcards bool
	// AckWaitUnit is what an ack wait must be a multiple of; zero for any.
	AckWaitUnit time.Duration
}

// Header holds a message's headers, by name as it was written.
type Header map[string][]string

// Message is what is published.
type Message struct {
	Subject string
	ID      string // for deduplication, where the broker has it
	Header  Header // where the broker has them; else ErrUnsupported
	Data    []byte
}
