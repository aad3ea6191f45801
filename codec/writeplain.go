package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// appendPlain appends the payload for the struct that v points to. It is not ok where
// the library has to write it. large reports whether an integer in it is beyond what
// JavaScript reads as it is.
func appendPlain(buf []byte, v any) (all []byte, large, ok bool) {
	plan, event := planFor(v)
	if plan == nil {
		return buf, false, false
	}
	if all, ok = plan.append(append(buf, '{'), event, &large); !ok {
		return buf, false, false
	}
	return append(all, '}'), large, true
}

func (p plan) append(b []byte, v reflect.Value, large *bool) (all []byte, ok bool) {
	for i := range p {
		s := &p[i]
		f := v.FieldByIndex(s.index)
		if s.omit && isEmpty(f) {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, s.name...)
		if b, ok = s.appendValue(b, f, large); !ok {
			return b, false
		}
	}
	return b, true
}

func (s *step) appendValue(b []byte, v reflect.Value, large *bool) (all []byte, ok bool) {
	switch s.kind {
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i := v.Int()
		*large = *large || s.wide && isLarge(i)
		return strconv.AppendInt(b, i, 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		u := v.Uint()
		*large = *large || u > maxSafe
		return strconv.AppendUint(b, u, 10), true
	case reflect.Float64:
		return appendFloat(b, v.Float())
	default:
	}
	if s.time {
		t, _ := reflect.TypeAssert[*time.Time](v.Addr())
		utc := t.UTC()
		if year := utc.Year(); year < 0 || year > 9999 {
			return b, false
		}
		return utc.AppendFormat(b, toISOString), true
	}
	if b, ok = s.inner.append(append(b, '{'), v, large); !ok {
		return b, false
	}
	return append(b, '}'), true
}

// appendString writes a text as the library does. It is copied first and looked at
// then, eight bytes at a time.
func appendString(b []byte, s string) (all []byte, ok bool) {
	start := len(b)
	b = append(b, '"')
	b = append(b, s...)
	if !isPlainText(b[start+1:]) {
		all, err := jsontext.AppendQuote(b[:start], s)
		return all, err == nil
	}
	return append(b, '"'), true
}

// isPlainText reports whether a text is ASCII without what has to be escaped.
func isPlainText(text []byte) bool {
	const (
		ones = 0x0101010101010101 // times a byte: eight of it
		high = 0x80 * ones
	)
	for len(text) >= 8 {
		x := binary.LittleEndian.Uint64(text)
		// The highest bit of a byte of each is set if that is not ASCII, a control
		// character, a quotation mark or a backslash; borrows come only from such.
		if (x|(x-0x20*ones)|((x^'"'*ones)-ones)|((x^'\\'*ones)-ones))&high != 0 {
			return false
		}
		text = text[8:]
	}
	for _, c := range text {
		if c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendFloat writes a number as JavaScript does.
func appendFloat(b []byte, f float64) (all []byte, ok bool) {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return b, false
	case abs == 0: // and not -0
		return append(b, '0'), true
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(b, f, 'f', -1, 64), true
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1] // e-7 and not e-07
		b = b[:n-1]
	}
	return b, true
}
