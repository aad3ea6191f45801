package jsonbench

import (
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkDecodeOptions takes the options for decoding one by one.
func BenchmarkDecodeOptions(b *testing.B) {
	duplicates := jsontext.AllowDuplicateNames(true)
	mangled := jsontext.AllowInvalidUTF8(true)
	withCheck := experimentWith("both+utf8.Valid", duplicates, mangled)
	decode := withCheck.Decode
	withCheck.Decode = func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return ErrInvalidUTF8
		}
		return decode(data, v)
	}
	for _, c := range []Contestant{
		experimentWith("defaults"),
		experimentWith("duplicates", duplicates),
		experimentWith("duplicates+invalid", duplicates, mangled),
		withCheck,
		ExperimentCodec(),
	} {
		for _, shape := range ticketShapes {
			b.Run("event="+shape.name+"/options="+c.Name, func(b *testing.B) {
				benchDecode[TicketCreated](b, c, shape.payloads(b))
			})
		}
	}
}

// BenchmarkEncodeOptions takes the options for encoding that are candidates for
// every event: keys of maps in order, and -0 written as 0 by a hook or a scan.
func BenchmarkEncodeOptions(b *testing.B) {
	hook := json.WithMarshalers(json.MarshalToFunc(writePositiveZero))
	scan := experimentWith("zero-scan")
	encode := scan.Encode
	scan.Encode = func(v any) ([]byte, error) {
		out, err := encode(v)
		return FixNegativeZero(out), err
	}
	for _, c := range []Contestant{
		experimentWith("defaults"),
		experimentWith("deterministic", json.Deterministic(true)),
		experimentWith("zero-hook", hook),
		scan,
		ExperimentCodec(),
	} {
		for _, shape := range ticketShapes {
			b.Run("event="+shape.name+"/options="+c.Name, func(b *testing.B) { benchEncode(b, c, shape) })
		}
	}
}

// writePositiveZero writes every float64; -0 is equal to 0.
func writePositiveZero(enc *jsontext.Encoder, f float64) error {
	if f == 0 {
		f = 0
	}
	return enc.WriteToken(jsontext.Float(f))
}
