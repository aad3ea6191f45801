package devserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	nats "github.com/nats-io/nats-server/v2/server"
)

// A User is someone who may connect, and what it may do then; see [Users].
type User struct {
	Name, Password string

	// Publish and Subscribe say on which NATS subjects. The zero value of each
	// allows every one.
	Publish, Subscribe Permission
}

// A Permission is a set of NATS subjects, which may have wildcards: all that
// Allow names, or simply all if it names none, without what Deny names.
//
// A streaming client does everything on subjects below _STAN, and listens on
// some below _INBOX; a JetStream client asks below $JS.API, acknowledges
// below $JS.ACK, and publishes on the subjects of the events themselves.
type Permission struct {
	Allow, Deny []string
}

// Users makes the server ask clients for the name and password of one of these
// users, and holds each of them to its permissions. The one of [Credentials], if
// that is given as well, may do everything. Without both options anyone may
// connect and do everything. No user's name may begin with an underscore.
func Users(users ...User) Option {
	return func(c *config) error {
		if len(users) == 0 {
			return errors.New("Users: name at least one, or leave the option out to let anyone connect")
		}
		// The streaming server is a client of the one that it embeds, too.
		c.users = []User{{Name: ownUser, Password: rand.Text()}}
		for _, u := range users {
			if err := u.check(); err != nil {
				return fmt.Errorf("Users: %q: %w", u.Name, err)
			}
			c.users = append(c.users, u)
		}
		return nil
	}
}

const ownUser = "_devserver"

func (u User) check() error {
	if u.Name == "" || u.Name[0] == '_' || u.Password == "" {
		return errors.New("give a name that does not begin with an underscore, and a password")
	}
	for _, s := range slices.Concat(u.Publish.Allow, u.Publish.Deny, u.Subscribe.Allow, u.Subscribe.Deny) {
		if !nats.IsValidSubject(s) {
			return fmt.Errorf("%q is no NATS subject: use one such as \"_STAN.>\"", s)
		}
	}
	return nil
}

// checkUsers finds out whether each has a name of its own.
func (c *config) checkUsers() error {
	names := map[string]bool{c.user: true}
	for _, u := range c.users {
		if names[u.Name] {
			return fmt.Errorf("two users are named %q: give each its own name", u.Name)
		}
		names[u.Name] = true
	}
	return nil
}

// natsUsers gives the users to nats-server, which knows either one or several.
func (c *config) natsUsers(o *nats.Options) {
	if len(c.users) == 0 {
		return
	}
	for _, u := range c.users {
		o.Users = append(o.Users, &nats.User{Username: u.Name, Password: u.Password, Permissions: &nats.Permissions{
			Publish:   &nats.SubjectPermission{Allow: u.Publish.Allow, Deny: u.Publish.Deny},
			Subscribe: &nats.SubjectPermission{Allow: u.Subscribe.Allow, Deny: u.Subscribe.Deny},
		}})
	}
	if c.user != "" {
		o.Users = append(o.Users, &nats.User{Username: c.user, Password: c.password})
	}
	o.Username, o.Password = "", ""
}
