package publisher

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// metadata describes each event to consumers in any language, where the broker
// has headers: CloudEvents' binding to NATS in binary mode, in which each
// attribute is a header with the prefix ce-. Where the broker recognises messages
// that it has by their ID, it gives each one.
//
// The zero value does neither.
type metadata struct {
	headers, ids bool

	// Values that all messages share. Nobody changes them.
	version, kind, source, contentType []string
}

func newMetadata(f transport.Features, clusterID, clientID string, subject subjects.Subject, contentType string) metadata {
	return metadata{
		headers: f.Headers, ids: f.Deduplicate,
		version:     []string{"1.0"},
		kind:        []string{percentEncode(string(subject))},
		source:      []string{"/" + percentEncode(clusterID) + "/" + percentEncode(clientID)},
		contentType: []string{contentType},
	}
}

// describe sets the ID and the headers of a message.
func (m *metadata) describe(message *transport.Message) {
	if !m.headers && !m.ids {
		return
	}
	id := rand.Text()
	if m.ids {
		message.ID = id
	}
	if !m.headers {
		return
	}
	own := []string{id, time.Now().UTC().Format(time.RFC3339Nano)}
	const room = 12 // for those below, the broker's, and one or two of a middleware
	h := make(transport.Header, room)
	h["ce-specversion"] = m.version
	h["ce-id"] = own[:1:1]
	h["ce-type"] = m.kind
	h["ce-source"] = m.source
	h["ce-time"] = own[1:]
	h["ce-datacontenttype"] = m.contentType
	h["Content-Type"] = m.contentType
	message.Header = h
}

// ownHeaders are those that describe sets.
var ownHeaders = []string{"ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "ce-datacontenttype", "Content-Type"}

// mayAdd returns why a middleware may not set a header.
func mayAdd(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == ':' || r > '~' }):
		return fmt.Errorf("%w header %q: a name is printable ASCII without space and ':'", client.ErrInvalid, name)
	case strings.ContainsAny(value, "\r\n"):
		return fmt.Errorf("%w header %s: its value %q holds a line break", client.ErrInvalid, name, value)
	case slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) }):
		return fmt.Errorf("%w header %s: the library sets it", client.ErrInvalid, name)
	case strings.HasPrefix(strings.ToLower(name), "nats-"):
		return fmt.Errorf("%w header %s: those that begin with Nats- are the server's", client.ErrInvalid, name)
	}
	return nil
}

// percentEncode writes an attribute's value as the binding wants it: what is not
// printable ASCII, and space, quotation mark and per cent sign, as %XX.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
