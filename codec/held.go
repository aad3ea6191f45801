package codec

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// writeHeld writes what an interface holds.
func writeHeld(enc *jsontext.Encoder, v any) error {
	switch v := v.(type) {
	case nil:
		return enc.WriteToken(jsontext.Null)
	case string:
		return enc.WriteToken(jsontext.String(v))
	case bool:
		return enc.WriteToken(jsontext.Bool(v))
	case map[string]any:
		if err := enc.WriteToken(jsontext.BeginObject); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := enc.WriteToken(jsontext.String(name)); err != nil {
				return err
			}
			if err := writeHeld(enc, v[name]); err != nil {
				return err
			}
		}
		return enc.WriteToken(jsontext.EndObject)
	case []any:
		if err := enc.WriteToken(jsontext.BeginArray); err != nil {
			return err
		}
		for i := range v {
			if err := writeHeld(enc, v[i]); err != nil {
				return err
			}
		}
		return enc.WriteToken(jsontext.EndArray)
	default:
		held := addressable(reflect.ValueOf(v))
		return shapeOf(held.Type()).writeValue(enc, held)
	}
}

// readHeld reads the next value as what an any holds.
func readHeld(dec *jsontext.Decoder) (any, error) {
	switch kind := dec.PeekKind(); kind {
	case jsontext.KindNull:
		return nil, dec.SkipValue()
	case jsontext.KindTrue, jsontext.KindFalse:
		return kind == jsontext.KindTrue, dec.SkipValue()
	case jsontext.KindString:
		token, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		return token.String(), nil
	case jsontext.KindNumber:
		return readFloat(dec, reflect.TypeFor[float64]())
	case jsontext.KindBeginObject:
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		object := make(map[string]any)
		for dec.PeekKind() != jsontext.KindEndObject {
			quoted, err := dec.ReadValue()
			if err != nil {
				return nil, err
			}
			name := string(unquoted(quoted))
			if object[name], err = readHeld(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.ReadToken()
		return object, err
	case jsontext.KindBeginArray:
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		list := []any{}
		for dec.PeekKind() != jsontext.KindEndArray {
			value, err := readHeld(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := dec.ReadToken()
		return list, err
	default: // not JSON
		_, err := dec.ReadValue()
		return nil, err
	}
}

// readFloat reads the next value, a number.
func readFloat(dec *jsontext.Decoder, t reflect.Type) (float64, error) {
	number, err := dec.ReadValue()
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(string(number), t.Bits())
	if err != nil {
		return 0, misread(dec, jsontext.KindNumber, t, fmt.Errorf("%.40s: %w", number, cause(err)))
	}
	return f, nil
}

// writeMap writes a map whose keys are texts, in their order.
func (s *shape) writeMap(enc *jsontext.Encoder, v reflect.Value) error {
	if s.typ == anyMapType {
		return writeHeld(enc, v.Interface())
	}
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	value := reflect.New(s.elem.typ).Elem()
	for _, key := range keys {
		if err := enc.WriteToken(jsontext.String(key.String())); err != nil {
			return err
		}
		value.Set(v.MapIndex(key))
		if err := s.elem.writeValue(enc, value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// readMap sets v, a map whose keys are texts, from the next value.
func (s *shape) readMap(dec *jsontext.Decoder, v reflect.Value) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return mismatch(dec, s.typ)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(s.typ))
	key, value := reflect.New(s.typ.Key()).Elem(), reflect.New(s.elem.typ).Elem()
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		key.SetString(string(unquoted(name)))
		if err := s.elem.readValue(dec, value); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	_, err := dec.ReadToken()
	return err
}
