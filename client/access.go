package client

import (
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/session"
)

func init() { //nolint:gochecknoinits // the one way to lend what is not exported to other packages of the module
	access.Provide(
		func(c any) *session.Session {
			if own, _ := c.(*Client); own.made() {
				return own.session
			}
			return nil
		},
		func(set func(*session.Defaults) error) any {
			return Option(func(o *options) error { return set(&o.defaults) })
		},
	)
}
