package transport

import "errors"

// Whether the message of a publish that failed is stored. The error matches exactly one of
// the two.
var (
	// ErrNotStored means that the broker did not store the message and will not. It is
	// safe to publish it again.
	ErrNotStored = errors.New("not stored")
	// ErrOutcomeUnknown means that the broker may have stored the message, or may yet.
	// Publishing it again may double it.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Why a connection could not be made.
var (
	// ErrNoServer means that nothing that speaks NATS answers at the URL, or not over
	// TLS as both ends ask for.
	ErrNoServer = errors.New("no server")
	// ErrNoCluster means that the server answers, but nothing behind it has that cluster ID.
	ErrNoCluster = errors.New("no such cluster")
	// ErrClientIDTaken means that another client with that ID is connected.
	ErrClientIDTaken = errors.New("client ID taken")
	// ErrUnauthorized means that the server refuses the credentials.
	ErrUnauthorized = errors.New("not authorised")
	// ErrForbidden means that the credentials are accepted, but lack a permission, which the
	// error names. Publishes, Listen and other calls on a connection may fail so, too.
	ErrForbidden = errors.New("permission missing")
	// ErrInvalid means that an argument or option is wrong in itself.
	ErrInvalid = errors.New("invalid")
)

// Why a call on a connection or a subscription failed.
var (
	// ErrClosed means that the connection or the subscription was closed.
	ErrClosed = errors.New("closed")
	// ErrConnectionLost means that there is no connection to the broker: it is lost for good,
	// or was away until the call's context was done.
	ErrConnectionLost = errors.New("connection lost")
	// ErrSubscriptionClosed means that it is too late to settle; the message comes again.
	ErrSubscriptionClosed = errors.New("subscription closed")
	// ErrTooLarge means that the message is over the server's limit.
	ErrTooLarge = errors.New("too large")
	// ErrRefused means that the broker answered, with an error of its own.
	ErrRefused = errors.New("refused by the server")
	// ErrUnsupported means that the broker can't do that; see Features.
	ErrUnsupported = errors.New("not supported by the broker")
)

// Permanent tells whether err, from a [Dialer], can't get better by waiting.
func Permanent(err error) bool {
	return errors.Is(err, ErrInvalid) || errors.Is(err, ErrUnauthorized)
}
