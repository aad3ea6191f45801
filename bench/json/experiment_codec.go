package jsonbench

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decodeOptions read as a Node service reads.
//
// Duplicate names: the last one counts, as in JSON.parse. Invalid UTF-8 is
// allowed only here, so that an escaped lone surrogate, which JSON.stringify
// can write, becomes U+FFFD; raw invalid UTF-8 is refused by CheckPayload.
var decodeOptions = json.JoinOptions(
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// encodeOptions write as JSON.stringify does. Invalid UTF-8 stays refused. The
// keys of a map come in order: JavaScript would keep the order of insertion,
// which a Go map hasn't got, and without it the same event is other bytes each
// time.
var encodeOptions = json.JoinOptions(
	json.Deterministic(true),
	json.WithMarshalers(json.MarshalToFunc(writeISO)),
)

// ExperimentCodec is go-json-experiment with all that a codec needs to keep the
// rules of the wire: the recommended configuration.
func ExperimentCodec() Contestant {
	encoding := experimentWith("experiment-codec", encodeOptions)
	decoding := experimentWith("experiment-codec", decodeOptions)
	encoding.Decode = decoding.Decode
	encoding.WritesTime = true
	return Guarded(encoding)
}

// writeISO writes t into the encoder's own buffer, so that nothing is allocated.
func writeISO(enc *jsontext.Encoder, t time.Time) error {
	value, err := AppendISO(append(enc.AvailableBuffer(), '"'), t)
	if err != nil {
		return err
	}
	return enc.WriteValue(append(value, '"'))
}
