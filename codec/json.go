package codec

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What [JSON] refuses by itself, beside the errors of the JSON library, which name
// the place in the payload and the Go field.
var (
	// ErrNotUTF8: the payload is not valid UTF-8.
	ErrNotUTF8 = errors.New("payload is not valid UTF-8")
	// ErrNotObject means that the payload, or what the event is encoded to, is not a JSON object.
	ErrNotObject = errors.New("not a JSON object")
)

// JSON writes an event as JSON.stringify writes it in Node, and reads what
// JSON.parse reads there. Struct fields are named by their json tags.
//
// Writing: no white space, no escapes but those that JSON demands; numbers as
// JavaScript writes them, -0 as 0; a time.Time as toISOString writes it, in UTC,
// cut to milliseconds; nil slices and maps as [] and {}. A string that is not
// UTF-8, NaN, an infinity and a year beyond 9999 are errors that name the field.
//
// Reading: unknown fields are ignored; names match exactly, case included; of a
// name that comes twice the last counts; a lone surrogate, which JavaScript can
// write as an escape, becomes U+FFFD. Anything but an object, null included, and
// bytes that are not UTF-8 are errors, and so is anything behind the object.
//
// The zero value is ready, and safe for concurrent use.
type JSON struct{}

var _ interface {
	Codec
	Appender
} = JSON{}

// ContentType returns "application/json".
func (JSON) ContentType() string { return "application/json" }

// writing makes a time.Time what a JavaScript Date is. A hook costs nothing for
// types without one.
var writing = json.JoinOptions(json.WithMarshalers(json.MarshalToFunc(writeTime)))

// reading accepts what JSON.parse accepts. Invalid UTF-8 is allowed here only so
// that escaped lone surrogates are; Decode has looked at the raw bytes before.
var reading = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Encode implements [Codec].
func (c JSON) Encode(v any) ([]byte, error) { return c.AppendEncode(nil, v) }

// AppendEncode implements [Appender].
func (JSON) AppendEncode(buf []byte, v any) ([]byte, error) {
	w := bytes.NewBuffer(buf)
	if err := json.MarshalWrite(w, v, writing); err != nil {
		return buf, err
	}
	all := w.Bytes()
	payload := all[len(buf):]
	if len(payload) == 0 || payload[0] != '{' {
		return buf, fmt.Errorf("encode %T: %w", v, ErrNotObject)
	}
	return all[:len(buf)+len(positiveZeros(payload))], nil
}

// Decode implements [Codec].
func (JSON) Decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return ErrNotUTF8
	}
	if object := bytes.TrimLeft(data, " \t\r\n"); len(object) == 0 || object[0] != '{' {
		return ErrNotObject
	}
	return json.Unmarshal(data, v, reading)
}

// toISOString is the form of a Date in JSON.stringify.
const toISOString = `"2006-01-02T15:04:05.000Z"`

func writeTime(enc *jsontext.Encoder, t time.Time) error {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return fmt.Errorf("year %d is beyond what RFC 3339 can write", year)
	}
	return enc.WriteValue(t.AppendFormat(enc.AvailableBuffer(), toISOString))
}
