package codec

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
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
// cut to milliseconds; nil slices and maps as [] and {}; maps by key. A string that is not
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

// writing puts the keys of maps in order, so that equal events have equal payloads.
var writing = json.JoinOptions(json.Deterministic(true))

// writingTimes also makes a time.Time what a JavaScript Date is. The library asks
// the hook about every value, so that it is given to types alone that need it.
var writingTimes = json.JoinOptions(writing, json.WithMarshalers(json.MarshalToFunc(writeTime)))

// reading accepts what JSON.parse accepts. Invalid UTF-8 is allowed here only so
// that escaped lone surrogates are; Decode has looked at the raw bytes before.
var reading = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Encode implements [Codec].
func (JSON) Encode(v any) ([]byte, error) {
	if payload, ok := appendPlain(nil, v); ok {
		return payload, nil
	}
	payload, err := json.Marshal(v, options(v))
	if err != nil {
		return nil, err
	}
	return finish(payload, v)
}

// buffers holds what AppendEncode lets the library write to.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// AppendEncode implements [Appender].
func (JSON) AppendEncode(buf []byte, v any) ([]byte, error) {
	if all, ok := appendPlain(buf, v); ok {
		return all, nil
	}
	return appendAny(buf, v)
}

// appendAny lets the library write.
func appendAny(buf []byte, v any) ([]byte, error) {
	w, _ := buffers.Get().(*bytes.Buffer)
	*w = *bytes.NewBuffer(buf)
	err := json.MarshalWrite(w, v, options(v))
	all := w.Bytes()
	*w = bytes.Buffer{} // the pool keeps no event
	buffers.Put(w)
	if err != nil {
		return buf, err
	}
	payload, err := finish(all[len(buf):], v)
	if err != nil {
		return buf, err
	}
	return all[:len(buf)+len(payload)], nil
}

// finish checks and mends, in place, what the library wrote for v.
func finish(payload []byte, v any) ([]byte, error) {
	if len(payload) == 0 || payload[0] != '{' {
		return nil, fmt.Errorf("encode %T: %w", v, ErrNotObject)
	}
	return positiveZeros(payload), nil
}

func options(v any) json.Options { //nolint:ireturn // it is the library's own type
	if holdsTime(v) {
		return writingTimes
	}
	return writing
}

// Decode implements [Codec].
func (JSON) Decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return ErrNotUTF8
	}
	if readPlain(data, v) {
		return nil
	}
	return decodeAny(data, v)
}

// decodeAny lets the library read.
func decodeAny(data []byte, v any) error {
	if object := bytes.TrimLeft(data, " \t\r\n"); len(object) == 0 || object[0] != '{' {
		return ErrNotObject
	}
	return json.Unmarshal(data, v, reading)
}
