package jsonbench

import (
	"bytes"

	"github.com/go-json-experiment/json"
)

// Experiment is github.com/go-json-experiment/json as it comes: duplicate names,
// invalid UTF-8 and lone surrogates refused, names matched exactly, no escaping
// for HTML or JavaScript.
func Experiment() Contestant {
	return experimentWith("experiment")
}

// experimentWith is go-json-experiment with the given options for both ways.
func experimentWith(name string, opts ...json.Options) Contestant {
	// Joined once: each call would otherwise join them again.
	joined := json.JoinOptions(opts...)
	return Contestant{
		Name: name,
		Encode: func(v any) ([]byte, error) {
			return json.Marshal(v, joined)
		},
		Append: func(dst []byte, v any) ([]byte, error) {
			buf := bytes.NewBuffer(dst)
			err := json.MarshalWrite(buf, v, joined)
			return buf.Bytes(), err
		},
		Decode: func(data []byte, v any) error {
			return json.Unmarshal(data, v, joined)
		},
	}
}
