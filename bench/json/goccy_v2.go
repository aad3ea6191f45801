package jsonbench

import (
	"bytes"
	"time"

	"github.com/goccy/go-json/jsontext"
	"github.com/goccy/go-json/v2"
)

// GoccyV2 is github.com/goccy/go-json/v2, a second implementation of the API of
// encoding/json/v2, with the option set of ExperimentCodec and the same guard.
func GoccyV2() Contestant {
	encodeOptions := json.JoinOptions(
		json.Deterministic(true),
		json.WithMarshalers(json.MarshalToFunc(goccyWriteISO)),
	)
	decodeOptions := json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
	)
	return Guarded(Contestant{
		Name: "goccy-v2-codec",
		Encode: func(v any) ([]byte, error) {
			return json.Marshal(v, encodeOptions)
		},
		Append: func(dst []byte, v any) ([]byte, error) {
			buf := bytes.NewBuffer(dst)
			err := json.MarshalWrite(buf, v, encodeOptions)
			return buf.Bytes(), err
		},
		Decode: func(data []byte, v any) error {
			return json.Unmarshal(data, v, decodeOptions)
		},
		WritesTime: true,
	})
}

// goccyWriteISO is writeISO for the encoder of goccy's own jsontext.
func goccyWriteISO(enc *jsontext.Encoder, t time.Time) error {
	value, err := AppendISO(append(enc.AvailableBuffer(), '"'), t)
	if err != nil {
		return err
	}
	return enc.WriteValue(append(value, '"'))
}
