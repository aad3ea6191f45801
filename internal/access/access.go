// Package access gives the packages of this module what belongs to a client and is no
// promise to importers: its session, and the option that sets defaults. Package client
// sets the functions when it is initialised.
package access

import "github.com/sgtickets/common/internal/session"

var (
	// Session returns the session of a *client.Client.
	Session func(client any) *session.Session
	// Defaults returns a client.Option that calls set on what the client's listeners
	// and publishers are to have by default.
	Defaults func(set func(*session.Defaults) error) any
)
