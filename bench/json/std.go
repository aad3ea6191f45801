package jsonbench

import (
	"bytes"
	"encoding/json"
	"sync"
)

// stdBuffers holds the buffers that std encodes into. json.Marshal has no way
// to turn HTML escaping off, so an Encoder over a buffer is the only way in.
var stdBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Std is encoding/json of the standard library: the baseline of all ratios.
func Std() Contestant {
	return Contestant{
		Name: "std",
		Encode: func(v any) ([]byte, error) {
			return stdAppend(nil, v)
		},
		Append: stdAppend,
		Decode: json.Unmarshal,
	}
}

func stdAppend(dst []byte, v any) ([]byte, error) {
	buf := stdBuffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // New makes nothing else
	defer stdBuffers.Put(buf)
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	// Encode always ends with a newline, which must not reach the wire.
	return append(dst, buf.Bytes()[:buf.Len()-1]...), nil
}
