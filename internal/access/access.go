// Package access gives the packages of this module what belongs to a client and is no
// promise to importers: its session, and the option that sets defaults. So no exported
// method has a type that importers can't name.
package access

import "github.com/sgtickets/common/internal/session"

// registered is set once, by package client, before anyone can have a client.
var registered struct {
	session  func(client any) *session.Session
	defaults func(set func(*session.Defaults) error) any
}

// Register is called by package client when it is initialised. Session of a
// *client.Client is what ofClient returns; defaults makes a client.Option.
func Register(ofClient func(client any) *session.Session, defaults func(set func(*session.Defaults) error) any) {
	registered.session, registered.defaults = ofClient, defaults
}

// Session returns the session of a *client.Client.
func Session(client any) *session.Session { return registered.session(client) }

// Defaults returns a client.Option that calls set on what the client's listeners and
// publishers are to have by default.
func Defaults(set func(*session.Defaults) error) any { return registered.defaults(set) }
