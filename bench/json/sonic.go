package jsonbench

import (
	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/encoder"
)

// sonicDecoder checks strings for control characters, copies them out of the
// payload as the other contestants do, and matches names exactly.
var sonicDecoder = sonic.Config{
	CopyString:     true,
	ValidateString: true,
	CaseSensitive:  true,
}.Froze()

// Sonic is github.com/bytedance/sonic. ValidateString is left out for encoding:
// it would hide invalid UTF-8 as an escaped U+FFFD, whereas raw bytes can be
// seen by CheckEncoded.
func Sonic() Contestant {
	return Contestant{
		Name: "sonic",
		Encode: func(v any) ([]byte, error) {
			return encoder.Encode(v, 0)
		},
		Append: func(dst []byte, v any) ([]byte, error) {
			err := encoder.EncodeInto(&dst, v, 0)
			return dst, err
		},
		Decode: sonicDecoder.Unmarshal,
	}
}

// SonicKind says what sonic does in this build: its own just-in-time compiled
// code, or a fallback to encoding/json where it does not know the Go version or
// the processor.
func SonicKind() string {
	if sonic.APIKind == sonic.UseSonicJSON {
		return "JIT"
	}
	return "fallback to encoding/json"
}
