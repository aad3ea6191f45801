package codec

import (
	"bytes"
	"strings"
)

// positiveZeros rewrites in place each number -0 of a compact JSON text as 0, as
// JavaScript writes it.
//
// It looks at the text, and is not a hook for float64: the library would ask a
// hook about every number of every event, and not about types defined as float64.
func positiveZeros(text []byte) []byte {
	from, inside, scanned := 0, false, 0 // inside: text[scanned] is within a string
	for {
		i := bytes.Index(text[from:], []byte("-0"))
		if i < 0 {
			return text
		}
		i += from
		from = i + len("-0")
		if !wholeNumber(text, i, from) {
			continue // an ID with "-0" in it, as a rule
		}
		for ; scanned < i; scanned++ {
			switch text[scanned] {
			case '"':
				inside = !inside
			case '\\':
				scanned++ // whatever is escaped, a quote perhaps, ends nothing
			}
		}
		if !inside {
			text = append(text[:i], text[i+1:]...)
			from--
		}
	}
}

// wholeNumber reports whether text[start:end] has the neighbours of a value.
func wholeNumber(text []byte, start, end int) bool {
	return (start == 0 || strings.IndexByte(":,[", text[start-1]) >= 0) &&
		(end == len(text) || strings.IndexByte(",]}", text[end]) >= 0)
}
