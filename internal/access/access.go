// Package access gives the packages of this module what belongs to a client and is no
// promise to importers: its session, and the option that sets defaults.
package access

import "github.com/sgtickets/common/internal/session"

var (
	sessionOf func(client any) *session.Session
	defaults  func(set func(*session.Defaults) error) any
)

// Provide sets what the functions of this package call. Package client calls it when it is
// initialised, since this package can't import it.
func Provide(sessionOfClient func(client any) *session.Session, defaultsOption func(set func(*session.Defaults) error) any) {
	sessionOf, defaults = sessionOfClient, defaultsOption
}

// Session returns the session of a *client.Client, nil if Build did not make that.
func Session(client any) *session.Session { return sessionOf(client) }

// Defaults returns a client.Option that calls set on what the client's listeners and
// publishers have by default.
func Defaults(set func(*session.Defaults) error) any { return defaults(set) }
