package codec

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
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
// JSON.parse reads there. The tags of a struct's fields mean what they mean to
// encoding/json: names, "-", omitempty, omitzero and string.
//
// Writing: no white space, no escapes but those that JSON demands; numbers as
// JavaScript writes them, -0 as 0; a json.Number and a time.Duration as a number, the
// latter of nanoseconds; []byte as base64, and an array of bytes as a list of numbers; a
// time.Time as toISOString writes it, in UTC, cut to milliseconds, and so a type that is
// defined as one, and a struct that embeds one and has no MarshalJSON of its own; nil
// slices and maps as [] and {}; maps by key. A string that is not UTF-8, NaN, an infinity
// and a year beyond 9999 are errors that name the field. Integers that JavaScript reads
// as another number are warned of, or refused: see [LargeIntegers]. A json.Number and a
// time.Duration are their author's, and not looked at: one of 104 days is beyond 2^53 ns.
//
// Reading: unknown fields are ignored; names match exactly, case included; of a
// name that comes twice the last counts, and nothing of the earlier value is left; null is
// the zero value; 1.0 and 1e2 are integers, 1.5 is not; a list may be shorter or longer
// than an array; a lone surrogate, which JavaScript can write as an escape, becomes
// U+FFFD. A json.RawMessage is kept as it came: one with a name that comes twice, or with a
// lone surrogate, is read, but can't be written again; to pass such payloads on, read into an
// any. Anything but an object, null included, and bytes that are not UTF-8 are errors,
// and so is anything behind the object.
//
// Types that can't be written or read at all are refused by publisher.New and
// listener.New: see [CheckEncode].
//
// The zero value is ready, and safe for concurrent use.
type JSON struct {
	// LargeIntegers is what is done about integers that JavaScript reads as another
	// number. The default is a warning.
	LargeIntegers LargeIntegers

	warnings *warnings // nil: those of slog.Default()
}

var _ interface {
	Codec
	Appender
} = JSON{}

// ContentType returns "application/json".
func (JSON) ContentType() string { return "application/json" }

// Encode implements [Codec].
func (j JSON) Encode(v any) ([]byte, error) {
	payload, large, ok := appendPlain(nil, v)
	if !ok {
		var err error
		if payload, err = json.Marshal(v, writing); err != nil {
			return nil, err
		}
		if payload, err = finish(payload, v); err != nil {
			return nil, err
		}
	}
	if large || !ok {
		if err := j.checkIntegers(v); err != nil {
			return nil, err
		}
	}
	return payload, nil
}

// AppendEncode implements [Appender].
func (j JSON) AppendEncode(buf []byte, v any) ([]byte, error) {
	all, large, ok := appendPlain(buf, v)
	if !ok {
		var err error
		if all, err = appendAny(buf, v); err != nil {
			return buf, err
		}
	}
	if large || !ok {
		if err := j.checkIntegers(v); err != nil {
			return buf, err
		}
	}
	return all, nil
}

// buffers holds what AppendEncode lets the library write to.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// appendAny lets the library write.
func appendAny(buf []byte, v any) ([]byte, error) {
	w, _ := buffers.Get().(*bytes.Buffer)
	*w = *bytes.NewBuffer(buf)
	err := json.MarshalWrite(w, v, writing)
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
