// Package cloudevents reads and names what CloudEvents 1.0 puts on NATS: attributes as headers
// (binary mode), and the event with its attributes in one JSON object (structured mode).
package cloudevents

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Prefix begins the names of headers that are attributes.
const Prefix = "ce-"

// Mode is how a message holds an event.
type Mode int

const (
	// Binary means that the payload is the event's data. So it is in every message that says nothing else.
	Binary Mode = iota
	// Structured means that the payload is a JSON object of attributes and data.
	Structured
	// Batch means that the payload is a list of such objects.
	Batch
	// Unreadable means that the payload is an event in a format that is not JSON, such as Avro.
	Unreadable
)

// structuredType begins the media types of structured mode, and of batches.
const structuredType = "application/cloudevents"

// ModeOf returns the mode of a message by its headers. The Content-Type alone decides, as
// CloudEvents has it: a payload that merely looks like an envelope is not guessed to be one.
func ModeOf(header map[string][]string) Mode {
	contentType := first(header, "Content-Type", "content-type")
	if len(contentType) < len(structuredType) || !strings.EqualFold(contentType[:len(structuredType)], structuredType) {
		return Binary
	}
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == structuredType+"+json":
		return Structured
	case strings.HasPrefix(strings.ToLower(contentType), structuredType+"-batch"):
		return Batch
	default:
		return Unreadable
	}
}

func first(header map[string][]string, names ...string) string {
	for _, name := range names {
		if values := header[name]; len(values) == 1 {
			return strings.TrimSpace(values[0])
		}
	}
	return ""
}

// Type returns the attribute type of an event in binary mode, or "" if the headers have none.
func Type(header map[string][]string) string {
	return Decode(first(header, Prefix+"type"))
}

// Envelope is an event in structured mode.
type Envelope struct {
	Attributes map[string]string
	Data       []byte // as the event's codec reads it
}

// Read reads a message in structured mode. It reads what other languages write, so that
// it demands the data alone: which attributes there are is its caller's business.
func Read(message []byte) (Envelope, error) {
	var members map[string]jsontext.Value
	// What the data may hold is its codec's business.
	if err := json.Unmarshal(message, &members, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return Envelope{}, fmt.Errorf("the envelope is not a JSON object: %w", err)
	}
	if members == nil {
		return Envelope{}, errors.New("the envelope is not a JSON object, but null")
	}
	data, err := dataOf(members)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{Attributes: make(map[string]string, len(members)), Data: data}
	for name, value := range members {
		if name == "data" || name == "data_base64" {
			continue
		}
		switch value.Kind() {
		case '"':
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return Envelope{}, fmt.Errorf("attribute %s: %w", name, err)
			}
			e.Attributes[name] = text
		case '0', 't', 'f':
			e.Attributes[name] = value.String()
		default: // null is as if it were absent; attributes have no other form
		}
	}
	return e, nil
}

// dataOf returns the data of an envelope: "data", which is a JSON value, or the bytes that
// "data_base64" holds.
func dataOf(members map[string]jsontext.Value) ([]byte, error) {
	data, plain := members["data"]
	encoded, binary := members["data_base64"]
	switch {
	case plain && binary:
		return nil, errors.New("the envelope has both data and data_base64")
	case binary:
		var text string
		if err := json.Unmarshal(encoded, &text); err != nil {
			return nil, fmt.Errorf("data_base64 is not a string: %w", err)
		}
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("data_base64 is not base64: %w", err)
		}
		return decoded, nil
	case !plain:
		return nil, errors.New("the envelope has neither data nor data_base64")
	case data.Kind() == '"' && !isJSON(members["datacontenttype"]):
		var text string // of another format, in which the codec reads it
		if err := json.Unmarshal(data, &text); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		return []byte(text), nil
	default:
		return data, nil
	}
}

// isJSON tells whether a datacontenttype is JSON's. Without one, it is.
func isJSON(contentType jsontext.Value) bool {
	var text string
	if len(contentType) == 0 || contentType.Kind() == 'n' || json.Unmarshal(contentType, &text) != nil {
		return true
	}
	kind, _, err := mime.ParseMediaType(text)
	return err == nil && (kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"))
}

// Encode writes an attribute's value for a header: what is not printable ASCII, and space,
// quotation mark and per cent sign, as %XX.
func Encode(s string) string {
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

// Decode reads what [Encode] wrote. A value that is not written so is taken as it is.
func Decode(s string) string {
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return decoded
}
