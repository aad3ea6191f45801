package codec

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// bothWays is what writing and reading have in common: the library does what
// encoding/json does with bytes, arrays and durations.
var bothWays = json.JoinOptions(
	jsonv1.FormatByteArrayAsArray(true),
	jsonv1.FormatBytesWithLegacySemantics(true),
	jsonv1.FormatDurationAsNano(true),
)

// writing is how the library writes. The keys of maps are in order, so that equal events
// have equal payloads. It asks writeAny about each value first.
var writing = json.JoinOptions(
	bothWays,
	json.Deterministic(true),
	json.WithMarshalers(json.MarshalToFunc(writeAny)),
)

// writeAny writes what the library would write in another way. v points to the value.
func writeAny(enc *jsontext.Encoder, v any) error {
	value := reflect.ValueOf(v).Elem()
	s := shapeOf(value.Type())
	switch s.write {
	case asNumber, asTime, asObject, asList, asPointer, asMap, asHeld:
		return s.writeValue(enc, value)
	default:
		return errors.ErrUnsupported
	}
}

// writeValue writes a value.
func (s *shape) writeValue(enc *jsontext.Encoder, v reflect.Value) error {
	switch s.write {
	case asText:
		return enc.WriteToken(jsontext.String(v.String()))
	case asBool:
		return enc.WriteToken(jsontext.Bool(v.Bool()))
	case asInt:
		return enc.WriteToken(jsontext.Int(v.Int()))
	case asUint:
		return enc.WriteToken(jsontext.Uint(v.Uint()))
	case asFloat:
		if f := v.Float(); s.typ.Kind() == reflect.Float64 && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return enc.WriteToken(jsontext.Float(f))
		}
	case asNumber:
		return writeNumber(enc, v.String())
	case asTime:
		t, ok := s.timeOf(v)
		if !ok {
			return enc.WriteToken(jsontext.Null)
		}
		return writeTime(enc, t)
	case asObject:
		return s.writeObject(enc, v)
	case asList:
		return s.writeList(enc, v)
	case asPointer:
		if v.IsNil() {
			return enc.WriteToken(jsontext.Null)
		}
		return s.elem.writeValue(enc, v.Elem())
	case asMap:
		return s.writeMap(enc, v)
	case asHeld:
		return writeHeld(enc, v.Interface())
	case byLibrary:
	}
	return json.MarshalEncode(enc, v.Addr().Interface())
}

func (s *shape) writeObject(enc *jsontext.Encoder, v reflect.Value) error {
	if err := s.fault(true); err != nil {
		return err
	}
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for i := range s.fields {
		f := &s.fields[i]
		value, ok := f.of(v)
		if !ok || f.omitted(value) {
			continue
		}
		if err := enc.WriteToken(jsontext.String(f.name)); err != nil {
			return err
		}
		write := f.shape.writeValue
		if f.inString {
			write = f.shape.writeInString
		}
		if err := write(enc, value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

func (s *shape) writeList(enc *jsontext.Encoder, v reflect.Value) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := s.elem.writeValue(enc, v.Index(i)); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

// writeInString writes a value as the option string has it: its JSON is within a string.
func (s *shape) writeInString(enc *jsontext.Encoder, v reflect.Value) error {
	switch s.write {
	case asText:
		quoted, err := jsontext.AppendQuote(nil, v.String())
		if err != nil {
			return refuse(enc, s.typ, err)
		}
		return enc.WriteToken(jsontext.String(string(quoted)))
	case asBool:
		return enc.WriteToken(jsontext.String(strconv.FormatBool(v.Bool())))
	case asNumber:
		text, err := numberText(v.String())
		if err != nil {
			return refuse(enc, s.typ, err)
		}
		return enc.WriteToken(jsontext.String(text))
	case asInt, asUint, asFloat:
		return json.MarshalEncode(enc, v.Addr().Interface(), json.StringifyNumbers(true))
	case asPointer:
		if !v.IsNil() {
			return s.elem.writeInString(enc, v.Elem())
		}
	default: // the type's own methods know nothing of the option
	}
	return s.writeValue(enc, v)
}

// refuse returns the error that the next value can't be written.
func refuse(enc *jsontext.Encoder, t reflect.Type, err error) error {
	at := enc.StackPointer()
	if kind, n := enc.StackIndex(enc.StackDepth()); kind == jsontext.KindBeginArray {
		if n > 0 {
			at = at.Parent()
		}
		at = at.AppendToken(strconv.FormatInt(n, 10))
	}
	return &json.SemanticError{JSONPointer: at, GoType: t, Err: err}
}

// fault returns why the struct can't be written, or read; nil if it can.
func (s *shape) fault(write bool) error {
	for _, f := range s.faults {
		if !write || !f.readOnly {
			return fmt.Errorf("%v: %v", s.typ, f)
		}
	}
	return nil
}
