package publisher

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sgtickets/common/client"
)

// ownHeaders are those that a Publisher sets on each event.
var ownHeaders = []string{"ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "ce-datacontenttype", "Content-Type"}

// validHeader returns why a header can't be sent.
func validHeader(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == ':' || r > '~' }):
		return fmt.Errorf("%w header %q: a name is printable ASCII without space and ':'", client.ErrInvalid, name)
	case strings.ContainsAny(value, "\r\n"):
		return fmt.Errorf("%w header %s: its value %q holds a line break", client.ErrInvalid, name, value)
	case strings.HasPrefix(strings.ToLower(name), "nats-"):
		return fmt.Errorf("%w header %s: those that begin with Nats- are the server's", client.ErrInvalid, name)
	}
	return nil
}

// mayAdd returns why a middleware may not set a header.
func mayAdd(name, value string) error {
	if slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) }) {
		return fmt.Errorf("%w header %s: the library sets it", client.ErrInvalid, name)
	}
	return validHeader(name, value)
}

// validID returns why a message ID can't be sent. An empty one means that there is none.
func validID(id string) error {
	if strings.TrimSpace(id) != id || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%w message ID %q: an ID is printable ASCII, and neither begins nor ends with a space", client.ErrInvalid, id)
	}
	return nil
}
