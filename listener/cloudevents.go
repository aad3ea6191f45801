package listener

import (
	"fmt"
	"maps"

	"github.com/sgtickets/common/internal/cloudevents"
	"github.com/sgtickets/common/internal/eventtype"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// payloadOf returns what the codec is to decode: the payload, or, of an event in CloudEvents'
// structured mode, the data in it. An event that says that it is of the type of another
// subject is refused: its fields might happen to fit.
func payloadOf(d *transport.Delivery, subject subjects.Subject) ([]byte, error) {
	if len(d.Header) == 0 {
		return d.Data, nil
	}
	payload := d.Data
	switch cloudevents.ModeOf(d.Header) {
	case cloudevents.Structured:
		envelope, err := cloudevents.Read(d.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: CloudEvents in structured mode: %w", ErrUndecodable, err)
		}
		payload = envelope.Data
	case cloudevents.Batch:
		return nil, fmt.Errorf("%w: it is a batch of CloudEvents: publish each event as a message of its own", ErrUndecodable)
	case cloudevents.Unreadable:
		return nil, fmt.Errorf("%w: it is a CloudEvent in another format than JSON: publish it in binary mode, or as application/cloudevents+json", ErrUndecodable)
	case cloudevents.Binary:
	}
	if kind := cloudevents.Type(d.Header); kind != "" && kind != string(subject) && eventtype.Known(subjects.Subject(kind)) {
		return nil, fmt.Errorf("%w: its ce-type is %q, which is another event than %q: publish it on the subject of its type", ErrUndecodable, kind, subject)
	}
	return payload, nil
}

// withAttributes returns the delivery's headers with the attributes of an envelope, as in
// binary mode, so that an event is the same one in both modes.
func withAttributes(d *transport.Delivery) transport.Header {
	if len(d.Header) == 0 || cloudevents.ModeOf(d.Header) != cloudevents.Structured {
		return d.Header
	}
	envelope, err := cloudevents.Read(d.Data)
	if err != nil {
		return d.Header // it is found undecodable
	}
	header := maps.Clone(d.Header)
	for name, value := range envelope.Attributes {
		header[cloudevents.Prefix+name] = []string{cloudevents.Encode(value)}
	}
	return header
}
