package publisher

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

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
	message.Header = transport.Header{
		"ce-specversion":     m.version,
		"ce-id":              {id},
		"ce-type":            m.kind,
		"ce-source":          m.source,
		"ce-time":            {time.Now().UTC().Format(time.RFC3339Nano)},
		"ce-datacontenttype": m.contentType,
		"Content-Type":       m.contentType,
	}
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
