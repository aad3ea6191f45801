package jsonbench

import (
	"fmt"

	"github.com/segmentio/encoding/json"
)

// Segmentio is github.com/segmentio/encoding/json without HTML escaping and
// with exact names.
func Segmentio() Contestant {
	appendTo := func(dst []byte, v any) ([]byte, error) {
		return json.Append(dst, v, 0)
	}
	return Contestant{
		Name: "segmentio",
		Encode: func(v any) ([]byte, error) {
			return appendTo(nil, v)
		},
		Append: appendTo,
		Decode: segmentioDecode,
	}
}

// segmentioDecode is json.Unmarshal with flags: Parse hands back what follows
// the value instead of refusing it.
func segmentioDecode(data []byte, v any) error {
	rest, err := json.Parse(data, v, json.DontMatchCaseInsensitiveStructFields)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes after the top-level value", len(rest))
	}
	return nil
}
