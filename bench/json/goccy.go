package jsonbench

import "github.com/goccy/go-json"

// Goccy is github.com/goccy/go-json without HTML escaping. Its normalisation of
// UTF-8 is off too: it would write U+2028 escaped and hide invalid UTF-8 as an
// escaped U+FFFD, whereas raw bytes can be seen by CheckEncoded.
func Goccy() Contestant {
	encode := func(v any) ([]byte, error) {
		return json.MarshalWithOption(v, json.DisableHTMLEscape(), json.DisableNormalizeUTF8())
	}
	return Contestant{
		Name:   "goccy",
		Encode: encode,
		Append: func(dst []byte, v any) ([]byte, error) {
			// It has no way to append: its encoder copies into a writer.
			out, err := encode(v)
			return append(dst, out...), err
		},
		Decode: json.Unmarshal,
	}
}
