package jsonbench

import (
	"bytes"
	"strings"
)

// FixNegativeZero rewrites in place every number -0 of the JSON text out as 0,
// which is what JSON.stringify writes for it. out must be compact.
//
// It is a scan of the output and not a hook for float64 since a hook is asked
// about every value of every event, and misses types defined as float64.
func FixNegativeZero(out []byte) []byte {
	var quotes stringState
	for from := 0; ; {
		i := bytes.Index(out[from:], []byte("-0"))
		if i < 0 {
			return out
		}
		i += from
		from = i + len("-0")
		if looksLikeNumber(out, i) && !quotes.insideAt(out, i) {
			out = append(out[:i], out[i+1:]...)
			from = i + len("0")
		}
	}
}

// looksLikeNumber reports whether the -0 at i has the neighbours of a whole
// number token. Inside a string they are rare (an ID such as "a-0b" has not got
// them), so that as a rule nobody has to ask where the strings are.
func looksLikeNumber(out []byte, i int) bool {
	end := i + len("-0")
	before := i == 0 || strings.IndexByte(":,[", out[i-1]) >= 0
	after := end == len(out) || strings.IndexByte(",]}", out[end]) >= 0
	return before && after
}

// stringState knows whether a position of a valid JSON text is within a string.
// It goes on from the last position that was asked for: a title full of -0 must
// not make the scan quadratic.
type stringState struct {
	next   int
	inside bool
}

// insideAt is asked for rising positions, none of them within an escape.
func (s *stringState) insideAt(out []byte, i int) bool {
	for ; s.next < i; s.next++ {
		switch out[s.next] {
		case '"':
			s.inside = !s.inside
		case '\\':
			s.next++ // the escaped character, a quote perhaps, ends nothing
		}
	}
	return s.inside
}
