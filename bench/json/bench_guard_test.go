package jsonbench

import (
	"testing"
	"unicode/utf8"
)

// BenchmarkGuard is what the codec's own looks at the bytes cost.
func BenchmarkGuard(b *testing.B) {
	checks := []struct {
		name string
		run  func(data []byte) bool
	}{
		{"utf8.Valid", utf8.Valid},
		{"CheckPayload", func(data []byte) bool { return CheckPayload(data) == nil }},
		{"FixNegativeZero", func(data []byte) bool { return FixNegativeZero(data) != nil }},
	}
	for _, shape := range ticketShapes {
		payloads := shape.payloads(b)
		for _, check := range checks {
			b.Run("event="+shape.name+"/check="+check.name, func(b *testing.B) {
				b.SetBytes(int64(len(payloads[0])))
				i := 0
				for b.Loop() {
					if !check.run(payloads[i]) {
						b.Fatal("a good payload is refused")
					}
					i = next(i, len(payloads))
				}
			})
		}
	}
}
