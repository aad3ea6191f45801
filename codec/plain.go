package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A plain struct is one of strings, numbers, booleans, times and plain structs, as
// most events are: what is written for it is known beforehand, but for the values.
// So it is written here, to the byte as the library writes it and about three times
// as fast. All other types, and values that can't be written, are the library's.

// plan is what is written for a plain struct.
type plan []step

// step is a field of a plain struct.
type step struct {
	field int
	name  string // quoted, with the colon; empty: an embedded struct, whose fields are written as the outer one's
	kind  reflect.Kind
	time  bool
	omit  bool // an empty string is left out
	inner plan // of a struct
}

// plans remembers them by reflect.Type; nil for a type that is not plain.
var plans sync.Map

// appendPlain appends the payload for the struct that v points to. It is not ok where
// the library has to write it.
func appendPlain(buf []byte, v any) (all []byte, ok bool) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return buf, false
	}
	t := p.Type().Elem()
	known, found := plans.Load(t)
	if !found {
		known, _ = plans.LoadOrStore(t, planOf(t))
	}
	plan, _ := known.(plan)
	if plan == nil {
		return buf, false
	}
	if all, ok = plan.append(append(buf, '{'), p.Elem()); !ok {
		return buf, false
	}
	return append(all, '}'), true
}

func (p plan) append(b []byte, v reflect.Value) (all []byte, ok bool) {
	for i := range p {
		s := &p[i]
		f := v.Field(s.field)
		if s.name == "" {
			if b, ok = s.inner.append(b, f); !ok {
				return b, false
			}
			continue
		}
		if s.omit && f.Len() == 0 {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, s.name...)
		if b, ok = s.appendValue(b, f); !ok {
			return b, false
		}
	}
	return b, true
}

func (s *step) appendValue(b []byte, v reflect.Value) (all []byte, ok bool) {
	switch s.kind {
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), true
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
	if b, ok = s.inner.append(append(b, '{'), v); !ok {
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

// planOf returns the plan for a type, or nil if it is not plain.
func planOf(t reflect.Type) plan {
	if t.Kind() != reflect.Struct {
		return nil
	}
	names := make(map[string]bool)
	return planOfStruct(t, names)
}

// planOfStruct is planOf; names are those of the object so far.
func planOfStruct(t reflect.Type, names map[string]bool) plan {
	if writesItself(t) {
		return nil
	}
	p := make(plan, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		s := step{field: i, kind: f.Type.Kind(), time: f.Type == reflect.TypeFor[time.Time]()}
		tag, tagged := f.Tag.Lookup("json")
		if !f.IsExported() || !s.plain(f.Type) {
			return nil
		}
		if f.Anonymous && !tagged && s.kind == reflect.Struct && !s.time {
			if s.inner = planOfStruct(f.Type, names); s.inner == nil {
				return nil
			}
			p = append(p, s)
			continue
		}
		if !tagged {
			tag = f.Name
		}
		if s.kind == reflect.String {
			tag, s.omit = strings.CutSuffix(tag, ",omitempty")
		}
		if f.Anonymous || !isPlainName(tag) || names[tag] {
			return nil
		}
		names[tag] = true
		s.name = `"` + tag + `":`
		if s.kind == reflect.Struct && !s.time {
			if s.inner = planOfStruct(f.Type, make(map[string]bool)); s.inner == nil {
				return nil
			}
		}
		p = append(p, s)
	}
	return p
}

// plain reports whether a field's type is one that a plan may have; structs are
// looked at by themselves.
func (s *step) plain(t reflect.Type) bool {
	switch s.kind {
	case reflect.String, reflect.Bool, reflect.Float64, reflect.Struct,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		return false
	}
	return s.time || !writesItself(t)
}

// writesItself reports whether the library may have another way to write a type than
// its kind says.
func writesItself(t reflect.Type) bool {
	if strings.Contains(t.PkgPath(), "json") || t.PkgPath() == "time" {
		return true
	}
	for _, method := range []string{"MarshalJSONTo", "MarshalJSON", "MarshalText", "AppendText"} {
		if _, ok := reflect.PointerTo(t).MethodByName(method); ok {
			return true
		}
	}
	return false
}

// isPlainName reports whether a tag is a name and nothing else, and needs no escapes.
func isPlainName(tag string) bool {
	if tag == "" {
		return false
	}
	for _, c := range tag {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
