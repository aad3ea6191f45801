package client

import "github.com/sgtickets/common/transport"

// Errors that a client's methods return, wrapped, to be matched with errors.Is.
var (
	// ErrNoServer means that nothing that speaks NATS answers at the URL, or not over
	// TLS as both ends ask for.
	ErrNoServer = transport.ErrNoServer
	// ErrNoCluster means that the server answers, but nothing behind it has that cluster ID.
	ErrNoCluster = transport.ErrNoCluster
	// ErrClientIDTaken means that another client with that ID is connected.
	ErrClientIDTaken = transport.ErrClientIDTaken
	// ErrUnauthorized means that the server refuses the credentials.
	ErrUnauthorized = transport.ErrUnauthorized
	// ErrForbidden means that the credentials are accepted, but lack a permission.
	ErrForbidden = transport.ErrForbidden
	// ErrInvalid means that an argument or an option is wrong in itself.
	ErrInvalid = transport.ErrInvalid
	// ErrConnectionLost means that the connection is over, without Close.
	ErrConnectionLost = transport.ErrConnectionLost
	// ErrClosed means that the client was closed.
	ErrClosed = transport.ErrClosed
	// ErrUnsupported means that the client's broker can't do that.
	ErrUnsupported = transport.ErrUnsupported
)
