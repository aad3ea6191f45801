package client

import "github.com/sgtickets/common/transport"

// Errors that a client's methods return, wrapped, to be matched with errors.Is.
var (
	// ErrNoServer means that no NATS server answers at the URL, or that client and server
	// can't agree on TLS.
	ErrNoServer = transport.ErrNoServer
	// ErrNoCluster means that the server answers, but nothing behind it has that cluster ID.
	ErrNoCluster = transport.ErrNoCluster
	// ErrClientIDTaken means that another client with that ID is connected.
	ErrClientIDTaken = transport.ErrClientIDTaken
	// ErrUnauthorized means that the server refuses the credentials.
	ErrUnauthorized = transport.ErrUnauthorized
	// ErrForbidden means that the credentials are accepted, but lack a permission, which the
	// error names. Publishes, Listen and other calls on a connection may fail so, too.
	ErrForbidden = transport.ErrForbidden
	// ErrInvalid means that an argument or an option is wrong in itself: trying again does
	// not help.
	ErrInvalid = transport.ErrInvalid
	// ErrConnectionLost means that the connection was lost for good, without Close.
	ErrConnectionLost = transport.ErrConnectionLost
	// ErrClosed means that the client was closed.
	ErrClosed = transport.ErrClosed
	// ErrUnsupported means that the client's broker can't do that.
	ErrUnsupported = transport.ErrUnsupported
)
