package codec

import (
	"reflect"
	"strings"
	"sync"
	"time"
)

// A plain struct is one of strings, numbers, booleans, times and plain structs, as
// most events are: all of its payload is known beforehand, but for the values. So it
// is written and read here: to the byte what the library writes, and to the value what
// it reads, about three times as fast. All other types, values that can't be written,
// and payloads that JSON.stringify would not have written are the library's.

// plan is what the object of a plain struct holds, in the order in which it is written.
type plan []step

// step is a field of a plain struct.
type step struct {
	index []int  // of the field, through embedded structs
	name  string // quoted, with the colon
	kind  reflect.Kind
	time  bool
	omit  bool // an empty string is left out
	inner plan // of a struct
}

// plans remembers them by reflect.Type; nil for a type that is not plain.
var plans sync.Map

// planFor returns the struct that v points to and its plan, or nil if it is not plain.
func planFor(v any) (plan, reflect.Value) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return nil, p
	}
	t := p.Type().Elem()
	known, found := plans.Load(t)
	if !found {
		known, _ = plans.LoadOrStore(t, planOf(t))
	}
	plan, _ := known.(plan)
	return plan, p.Elem()
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
	if isItsOwn(t) {
		return nil
	}
	p := make(plan, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		s := step{index: f.Index, kind: f.Type.Kind(), time: f.Type == reflect.TypeFor[time.Time]()}
		tag, tagged := f.Tag.Lookup("json")
		if !f.IsExported() || !s.plain(f.Type) {
			return nil
		}
		if f.Anonymous && !tagged && s.kind == reflect.Struct && !s.time {
			inner := planOfStruct(f.Type, names)
			if inner == nil {
				return nil
			}
			for _, s := range inner { // they are fields of the outer one's object
				s.index = append([]int{i}, s.index...)
				p = append(p, s)
			}
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
	return s.time || !isItsOwn(t)
}

// isItsOwn reports whether the library may have another way to write or read a type
// than its kind says.
func isItsOwn(t reflect.Type) bool {
	if strings.Contains(t.PkgPath(), "json") || t.PkgPath() == "time" {
		return true
	}
	for _, method := range []string{
		"MarshalJSONTo", "MarshalJSON", "MarshalText", "AppendText",
		"UnmarshalJSONFrom", "UnmarshalJSON", "UnmarshalText",
	} {
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
