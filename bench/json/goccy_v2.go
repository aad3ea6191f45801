package jsonbench

import (
	"bytes"
	"time"

	"github.com/goccy/go-json/jsontext"
	"github.com/goccy/go-json/v2"
)

// The option sets of ExperimentCodec, in the types of goccy's own copy of the
// API.
var (
	goccyDecodeOptions = json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
	)
	goccyEncodeOptions = json.JoinOptions(
		json.Deterministic(true),
	)
	goccyEncodeTimeOptions = json.JoinOptions(
		goccyEncodeOptions,
		json.WithMarshalers(json.MarshalToFunc(goccyWriteISO)),
	)
)

// GoccyV2 is github.com/goccy/go-json/v2, a second implementation of the API of
// encoding/json/v2, with everything else as in ExperimentCodec.
func GoccyV2() Contestant {
	return Contestant{
		Name: "goccy-v2-codec",
		Encode: func(v any) ([]byte, error) {
			out, err := json.Marshal(v, goccyEncodeOptionsFor(v))
			if err != nil {
				return nil, err
			}
			return FixNegativeZero(out), nil
		},
		Append: func(dst []byte, v any) ([]byte, error) {
			buf := bytes.NewBuffer(dst)
			if err := json.MarshalWrite(buf, v, goccyEncodeOptionsFor(v)); err != nil {
				return dst, err
			}
			out := buf.Bytes()
			tail := FixNegativeZero(out[len(dst):])
			return out[:len(dst)+len(tail)], nil
		},
		Decode: func(data []byte, v any) error {
			if err := CheckPayload(data); err != nil {
				return err
			}
			return json.Unmarshal(data, v, goccyDecodeOptions)
		},
		WritesTime: true,
	}
}

func goccyEncodeOptionsFor(v any) json.Options {
	if needsTimeHook(v) {
		return goccyEncodeTimeOptions
	}
	return goccyEncodeOptions
}

// goccyWriteISO is writeISO for the encoder of goccy's own jsontext.
func goccyWriteISO(enc *jsontext.Encoder, t time.Time) error {
	value, err := AppendISO(append(enc.AvailableBuffer(), '"'), t)
	if err != nil {
		return err
	}
	return enc.WriteValue(append(value, '"'))
}
