package codec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// field is a field of a struct, as encoding/json sees it: with the fields of embedded
// structs, and by the options of its tag.
type field struct {
	name      string // in JSON
	quoted    string // the name as it is written, with the colon
	goName    string // with the names of the structs that embed it
	index     []int  // through embedded structs
	typ       reflect.Type
	shape     *shape
	tagged    bool // the name comes from the tag
	inString  bool // option string: the value is written within a string
	omitEmpty bool
	omitZero  bool
	isZero    func(reflect.Value) bool // by the type's IsZero; nil if it has none
}

// fault is why a struct can't be written or read.
type fault struct {
	field    string // by its Go name
	why      string
	readOnly bool // it can be written
}

func (f fault) String() string { return fmt.Sprintf("field %s %s", f.field, f.why) }

// embedded is a struct whose fields are fields of the one that embeds it.
type embedded struct {
	typ   reflect.Type
	index []int
	name  string
}

// findFields finds the fields of a struct by the rules of encoding/json: of those with
// one name the least embedded counts, and among these the one that is tagged.
func (s *shape) findFields(made map[reflect.Type]*shape) {
	var all []field
	visited := make(map[reflect.Type]bool)
	for level := []embedded{{typ: s.typ}}; len(level) > 0; {
		var next []embedded
		for _, e := range level {
			if !visited[e.typ] {
				all, next = s.addFields(all, next, e)
			}
		}
		for _, e := range level {
			visited[e.typ] = true
		}
		level = next
	}
	byName := make(map[string][]field)
	for _, f := range all {
		byName[f.name] = append(byName[f.name], f)
	}
	for _, f := range all {
		if f.index = s.chosen(byName[f.name], f); f.index != nil {
			s.fields = append(s.fields, f)
		}
	}
	slices.SortFunc(s.fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	s.byName = make(map[string]int, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		s.byName[f.name] = i
		f.shape = newShape(f.typ, made)
		s.checkAccess(f)
	}
}

// addFields adds the fields of e to those found, and the structs that it embeds to next.
func (s *shape) addFields(all []field, next []embedded, e embedded) (fields []field, embeds []embedded) {
	for i := range e.typ.NumField() {
		sf := e.typ.Field(i)
		tag, tagged := sf.Tag.Lookup("json")
		if tag == "-" {
			continue
		}
		f := field{
			index: append(append([]int{}, e.index...), i), typ: sf.Type,
			goName: strings.TrimPrefix(e.name+"."+sf.Name, "."),
		}
		held := sf.Type
		if held.Name() == "" {
			held = pointedTo(held)
		}
		if !sf.IsExported() && (!sf.Anonymous || pointedTo(sf.Type).Kind() != reflect.Struct) {
			if tagged {
				s.faults = append(s.faults, fault{f.goName, fmt.Sprintf("has the tag json:%q and is not exported, so that it is neither written nor read; "+
					"export it, or take the tag away", tag), false})
			}
			continue
		}
		f.setTag(tag, sf, held)
		if sf.Anonymous && !f.tagged && held.Kind() == reflect.Struct {
			if held.ConvertibleTo(timeType) { // the struct does not have its methods, or it would be that time
				s.faults = append(s.faults, fault{f.goName, "is an embedded time, of which nothing would be written or read; name the field, or give it a tag with a name", false})
			}
			next = append(next, embedded{held, f.index, f.goName})
			continue
		}
		all = append(all, f)
	}
	return all, next
}

// setTag sets what the tag says. held is the field's type, or what it points to.
func (f *field) setTag(tag string, sf reflect.StructField, held reflect.Type) {
	name, rest, _ := strings.Cut(tag, ",")
	options := strings.Split(rest, ",")
	if f.name, f.tagged = name, isName(name); !f.tagged {
		f.name = sf.Name
	}
	quoted, _ := jsontext.AppendQuote(nil, f.name)
	f.quoted = string(quoted) + ":"
	f.omitEmpty = slices.Contains(options, "omitempty")
	if f.omitZero = slices.Contains(options, "omitzero"); f.omitZero {
		f.isZero = isZeroOf(sf.Type)
	}
	if slices.Contains(options, "string") {
		switch wayOf(held) {
		case asText, asBool, asInt, asUint, asFloat, asNumber:
			f.inString = true
		default:
		}
	}
}

// isName reports whether encoding/json takes the name of a tag. Where it does not, the
// field's own name counts.
func isName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// chosen returns the index of f if it is the one that counts of those with its name,
// and notes a fault if none does, or if two stand in one struct.
func (s *shape) chosen(named []field, f field) []int {
	if len(named) == 1 {
		return f.index
	}
	sorted := slices.SortedFunc(slices.Values(named), func(a, b field) int {
		return cmp.Or(len(a.index)-len(b.index), untagged(a)-untagged(b), slices.Compare(a.index, b.index))
	})
	first, second := sorted[0], sorted[1]
	last := len(first.index) - 1
	counts := slices.Equal(f.index, first.index)
	alike := len(first.index) == len(second.index)
	switch {
	case alike && (first.tagged == second.tagged || slices.Equal(first.index[:last], second.index[:last])):
		if counts {
			s.faults = append(s.faults, fault{second.goName, fmt.Sprintf("has the name %q in JSON, as %s has; give one of them another", f.name, first.goName), false})
		}
		return nil
	case !counts:
		return nil
	default:
		return f.index
	}
}

func untagged(f field) int {
	if f.tagged {
		return 0
	}
	return 1
}

// checkAccess notes a fault if reflection can't get at the field.
func (s *shape) checkAccess(f *field) {
	t := s.typ
	for n, i := range f.index {
		sf := pointedTo(t).Field(i)
		t = sf.Type
		if sf.IsExported() {
			continue
		}
		isStep := n < len(f.index)-1
		switch {
		case sf.Type.Kind() == reflect.Pointer:
			s.faults = append(s.faults, fault{f.goName, fmt.Sprintf("can't be read: %v is not exported, and what it points to can't be made; export it, or embed the struct itself",
				sf.Name), true})
		case isStep:
		case f.shape.write != asObject || f.shape.read != asObject:
			s.faults = append(s.faults, fault{f.goName, "is not exported, so that its JSON methods can't be called; export it", false})
		}
	}
}

// isZeroOf returns what asks a type's IsZero method, as the option omitzero does.
func isZeroOf(t reflect.Type) func(reflect.Value) bool {
	type zeroer interface{ IsZero() bool }
	ask := func(v reflect.Value) bool {
		z, _ := reflect.TypeAssert[zeroer](v)
		return z.IsZero()
	}
	asks := reflect.TypeFor[zeroer]()
	switch {
	case t.Kind() == reflect.Interface && t.Implements(asks):
		return func(v reflect.Value) bool {
			return v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() || ask(v)
		}
	case t.Kind() == reflect.Pointer && t.Implements(asks):
		return func(v reflect.Value) bool { return v.IsNil() || ask(v) }
	case t.Implements(asks):
		return ask
	case reflect.PointerTo(t).Implements(asks):
		return func(v reflect.Value) bool { return ask(v.Addr()) }
	default:
		return nil
	}
}

// omitted reports whether the tag leaves the value out.
func (f *field) omitted(v reflect.Value) bool {
	if f.omitZero {
		if f.isZero != nil && f.isZero(v) || f.isZero == nil && v.IsZero() {
			return true
		}
	}
	return f.omitEmpty && isEmpty(v)
}

// isEmpty reports whether the option omitempty leaves a value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool:
		return !v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int() == 0
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.Uint() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0
	case reflect.String, reflect.Map, reflect.Slice, reflect.Array:
		return v.Len() == 0
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	default:
		return false
	}
}

// of returns the field of a struct, or not ok if a pointer on the way is nil.
func (f *field) of(v reflect.Value) (value reflect.Value, ok bool) {
	for n, i := range f.index {
		if n > 0 {
			if v, ok = pointed(v); !ok {
				return v, false
			}
		}
		v = v.Field(i)
	}
	return v, true
}

// ofAnew is of; it makes what a nil pointer on the way would point to.
func (f *field) ofAnew(v reflect.Value) (value reflect.Value, err error) {
	for n, i := range f.index {
		if n > 0 {
			if v, err = pointedAnew(v); err != nil {
				return v, err
			}
		}
		v = v.Field(i)
	}
	return v, nil
}
