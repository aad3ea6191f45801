package devserver

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	nats "github.com/nats-io/nats-server/v2/server"
	streaming "github.com/nats-io/nats-streaming-server/server"
)

// SetUsers replaces the users of [Users] while the server runs, as an operator does who
// reloads the server's configuration: it stays up, and so does the connection of a user whose
// name and password are the same. New permissions hold from now on, and after a restart, too.
// It fails if the server was started without Users, or is down.
func (s *Server) SetUsers(users ...User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil || s.running.nats == nil {
		return errors.New("devserver: SetUsers: the server is down: Restart it, or Start one")
	}
	if len(s.conf.users) == 0 {
		return errors.New("devserver: SetUsers: start the server with Users")
	}
	own, conf := s.conf.users[0], s.conf
	if err := Users(users...)(&conf); err != nil {
		return fmt.Errorf("devserver: SetUsers: %w", err)
	}
	conf.users[0] = own // the streaming server is connected as this user
	if err := conf.checkUsers(); err != nil {
		return fmt.Errorf("devserver: SetUsers: %w", err)
	}
	before := s.conf
	s.conf = conf
	if err := s.running.nats.ReloadOptions(s.natsOptions()); err != nil {
		s.conf = before
		return fmt.Errorf("devserver: SetUsers: %w", err)
	}
	return nil
}

// embedded returns the NATS server in a streaming server, which keeps it to itself.
func embedded(srv *streaming.StanServer) *nats.Server {
	field := reflect.ValueOf(srv).Elem().FieldByName("natsServer")
	return *(**nats.Server)(unsafe.Pointer(field.UnsafeAddr())) //nolint:gosec // G103: there is no other way to reload the configuration of an embedded server
}
