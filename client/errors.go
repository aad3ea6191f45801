package client

import "github.com/sgtickets/common/transport"

// Errors that a client's methods return, wrapped, to be matched with errors.Is.
var (
	// ErrNoServer: nothing that speaks NATS answers at the URL.
	ErrNoServer = transport.ErrNoServer
	// ErrNoCluster: the server answers, but nothing behind it has that cluster ID.
	ErrNoCluster = transport.ErrNoCluster
	// ErrClientIDTaken: another client with that ID is connected.
	ErrClientIDTaken = transport.ErrClientIDTaken
	// ErrUnauthorized: the server refuses the credentials.
	ErrUnauthorized = transport.ErrUnauthorized
	// ErrForbidden: the credentials are accepted, but lack a permission.
	ErrForbidden = transport.ErrForbidden
	// ErrInvalid: an argument or an option is wrong in itself.
	ErrInvalid = transport.ErrInvalid
	// ErrConnectionLost: the connection is over, without Close.
	ErrConnectionLost = transport.ErrConnectionLost
	// ErrClosed: the client was closed.
	ErrClosed = transport.ErrClosed
)
