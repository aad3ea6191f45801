package publisher

import (
	"crypto/rand"
	"time"

	"github.com/sgtickets/common/internal/cloudevents"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// metadata describes each event to consumers in any language, where the broker
// has headers: CloudEvents' binding to NATS in binary mode, in which each
// attribute is a header with the prefix ce-.
type metadata struct {
	headers bool

	// Values that all messages share. Nobody changes them.
	version, kind, source, contentType []string
}

func newMetadata(f transport.Features, clusterID, clientID string, subject subjects.Subject, contentType string) metadata {
	return metadata{
		headers:     f.Headers,
		version:     []string{"1.0"},
		kind:        []string{cloudevents.Encode(string(subject))},
		source:      []string{"/" + cloudevents.Encode(clusterID) + "/" + cloudevents.Encode(clientID)},
		contentType: []string{contentType},
	}
}

// describe sets the headers of a message, and its ID if it has none.
func (m *metadata) describe(message *transport.Message) {
	if !m.headers {
		return
	}
	id := message.ID
	if id == "" {
		id = rand.Text()
		message.ID = id
	} else {
		id = cloudevents.Encode(id)
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
