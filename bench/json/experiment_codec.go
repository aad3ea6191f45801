package jsonbench

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The option sets of the recommended configuration, each joined once.
var (
	// decodeOptions read as a Node service reads. Of duplicate names the last
	// one counts, as in JSON.parse. Invalid UTF-8 is allowed only here, so that
	// an escaped lone surrogate, which JSON.stringify can write, becomes
	// U+FFFD; raw invalid UTF-8 is refused by CheckPayload.
	decodeOptions = json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
	)

	// encodeOptions write as JSON.stringify does, and refuse invalid UTF-8. The
	// keys of a map come in order: JavaScript would keep the order of
	// insertion, which a Go map hasn't got, and without an order the same event
	// is other bytes each time.
	encodeOptions = json.JoinOptions(
		json.Deterministic(true),
	)

	// encodeTimeOptions are for events that can hold a time.Time.
	encodeTimeOptions = json.JoinOptions(
		encodeOptions,
		json.WithMarshalers(json.MarshalToFunc(writeISO)),
	)
)

// ExperimentCodec is go-json-experiment with all that a codec needs to keep the
// rules of the wire: the recommended configuration. Invalid UTF-8 it refuses
// itself on encoding, so that the guard for that is left out.
func ExperimentCodec() Contestant {
	return Contestant{
		Name: "experiment-codec",
		Encode: func(v any) ([]byte, error) {
			out, err := json.Marshal(v, encodeOptionsFor(v))
			if err != nil {
				return nil, err
			}
			return FixNegativeZero(out), nil
		},
		Append: func(dst []byte, v any) ([]byte, error) {
			buf := bytes.NewBuffer(dst)
			if err := json.MarshalWrite(buf, v, encodeOptionsFor(v)); err != nil {
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
			return json.Unmarshal(data, v, decodeOptions)
		},
		WritesTime: true,
	}
}

func encodeOptionsFor(v any) json.Options {
	if needsTimeHook(v) {
		return encodeTimeOptions
	}
	return encodeOptions
}

// writeISO writes t into the encoder's own buffer, so that nothing is allocated.
func writeISO(enc *jsontext.Encoder, t time.Time) error {
	value, err := AppendISO(append(enc.AvailableBuffer(), '"'), t)
	if err != nil {
		return err
	}
	return enc.WriteValue(append(value, '"'))
}
