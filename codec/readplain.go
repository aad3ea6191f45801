package codec

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"strconv"
	"time"
)

// maxRead is how many fields a plain struct has at most that is read here: they are
// ticked off in a word.
const maxRead = 64

// readPlain sets the struct that v points to from a payload that is valid UTF-8. It is
// not ok where the library has to read it, from the start: some fields may be set.
func readPlain(data []byte, v any) (ok bool) {
	plan, event := planFor(v)
	if plan == nil || len(data) == 0 {
		return false
	}
	t := textsFor(plan, len(data))
	rest, ok := plan.read(data, event, t)
	t.done()
	return ok && len(rest) == 0
}

// read sets the struct from the object that data begins with, as JSON.stringify writes
// it: without white space and names that come twice.
func (p plan) read(data []byte, v reflect.Value, t *texts) (rest []byte, ok bool) {
	data, ok = cut(data, "{")
	if !ok || len(p) > maxRead {
		return nil, false
	}
	if rest, ok = cut(data, "}"); ok {
		return rest, true
	}
	var seen uint64
	for next := 0; ; next++ {
		if data, next, ok = p.readName(data, next); !ok {
			return nil, false
		}
		if next < 0 {
			data, ok = skipPlain(data)
		} else {
			s := &p[next]
			ok = seen&(1<<next) == 0
			seen |= 1 << next
			if ok {
				data, ok = s.read(data, v.FieldByIndex(s.index), t)
			}
		}
		if !ok {
			return nil, false
		}
		if rest, ok = cut(data, "}"); ok {
			return rest, true
		}
		if data, ok = cut(data, ","); !ok {
			return nil, false
		}
	}
}

// readName reads a name and the colon behind it, and returns which step that is: next,
// as a rule, since it was written in the same order. -1: none.
func (p plan) readName(data []byte, next int) (rest []byte, step int, ok bool) {
	if next < len(p) {
		if rest, ok = cut(data, p[next].name); ok {
			return rest, next, true
		}
	}
	for i := range p {
		if rest, ok = cut(data, p[i].name); ok {
			return rest, i, true
		}
	}
	if _, data, ok = readText(data); !ok {
		return nil, 0, false
	}
	rest, ok = cut(data, ":")
	return rest, -1, ok
}

// read sets a field from the value that data begins with.
func (s *step) read(data []byte, v reflect.Value, t *texts) (rest []byte, ok bool) {
	switch s.kind {
	case reflect.String:
		text, rest, ok := readText(data)
		if ok {
			v.SetString(t.text(text))
		}
		return rest, ok
	case reflect.Bool:
		if rest, ok = cut(data, "true"); ok {
			v.SetBool(true)
			return rest, true
		}
		if rest, ok = cut(data, "false"); ok {
			v.SetBool(false)
		}
		return rest, ok
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number, rest, ok := readNumber(data)
		i, err := strconv.ParseInt(string(number), 10, 64)
		if !ok || err != nil || v.OverflowInt(i) {
			return nil, false
		}
		v.SetInt(i)
		return rest, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		number, rest, ok := readNumber(data)
		u, err := strconv.ParseUint(string(number), 10, 64)
		if !ok || err != nil || v.OverflowUint(u) {
			return nil, false
		}
		v.SetUint(u)
		return rest, true
	case reflect.Float64:
		number, rest, ok := readNumber(data)
		f, err := strconv.ParseFloat(string(number), 64)
		if !ok || err != nil {
			return nil, false
		}
		v.SetFloat(f)
		return rest, true
	default:
	}
	if s.time {
		return readTime(data, v)
	}
	return s.inner.read(data, v, t)
}

// readTime reads what toISOString writes, but for years that have more than four
// digits.
func readTime(data []byte, v reflect.Value) (rest []byte, ok bool) {
	text, rest, ok := readText(data)
	if !ok || len(text) != len(bareISO) {
		return nil, false
	}
	for i, c := range text {
		if want := bareISO[i]; isDigit(want) && !isDigit(c) || !isDigit(want) && c != want {
			return nil, false
		}
	}
	at, err := time.Parse(bareISO, string(text))
	if err != nil {
		return nil, false
	}
	t, _ := reflect.TypeAssert[*time.Time](v.Addr())
	*t = at
	return rest, true
}

// skipPlain passes over a value of a field that is not known: a text, a number, true,
// false or null.
func skipPlain(data []byte) (rest []byte, ok bool) {
	for _, literal := range []string{"true", "false", "null"} {
		if rest, ok = cut(data, literal); ok {
			return rest, true
		}
	}
	if _, rest, ok = readText(data); ok {
		return rest, true
	}
	_, rest, ok = readNumber(data)
	return rest, ok
}

// readText reads a string without escapes, eight bytes at a time.
func readText(data []byte) (text, rest []byte, ok bool) {
	if data, ok = cut(data, `"`); !ok {
		return nil, nil, false
	}
	const (
		ones = 0x0101010101010101 // times a byte: eight of it
		high = 0x80 * ones
	)
	i := 0
	for ; i+8 <= len(data); i += 8 {
		x := binary.LittleEndian.Uint64(data[i:])
		quote, escape := x^'"'*ones, x^'\\'*ones
		// The highest bit of a byte of each is set if that is a control character, a
		// quotation mark or a backslash. Above the lowest such byte borrows may set
		// others.
		if found := ((x-0x20*ones)&^x | (quote-ones)&^quote | (escape-ones)&^escape) & high; found != 0 {
			i += bits.TrailingZeros64(found) / 8
			break
		}
	}
	for ; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return data[:i], data[i+1:], true
		case c < ' ', c == '\\':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// readNumber reads a number, as the grammar of JSON has it.
func readNumber(data []byte) (number, rest []byte, ok bool) {
	i := 0
	if i < len(data) && data[i] == '-' {
		i++
	}
	whole := digits(data[i:])
	if whole == 0 || whole > 1 && data[i] == '0' {
		return nil, nil, false
	}
	i += whole
	if i < len(data) && data[i] == '.' {
		part := digits(data[i+1:])
		if part == 0 {
			return nil, nil, false
		}
		i += 1 + part
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		exponent := digits(data[i:])
		if exponent == 0 {
			return nil, nil, false
		}
		i += exponent
	}
	return data[:i], data[i:], true
}

// digits counts those that data begins with.
func digits(data []byte) int {
	n := 0
	for n < len(data) && isDigit(data[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// cut takes the beginning off, if data begins with it.
func cut(data []byte, beginning string) (rest []byte, ok bool) {
	if len(data) < len(beginning) || string(data[:len(beginning)]) != beginning {
		return nil, false
	}
	return data[len(beginning):], true
}
