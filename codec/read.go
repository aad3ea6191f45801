package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// reading is how the library reads: it accepts what JSON.parse accepts. Invalid UTF-8 is
// allowed here only so that escaped lone surrogates are; Decode has looked at the raw
// bytes before. It asks readAny about each value first.
var reading = json.JoinOptions(
	bothWays,
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	jsonv1.ParseBytesWithLooseRFC4648(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(readAny)),
)

// readAny reads what the library would read in another way. v points to where the value
// belongs, which may hold what an earlier value of the same name left.
func readAny(dec *jsontext.Decoder, v any) error {
	value := reflect.ValueOf(v).Elem()
	switch s := shapeOf(value.Type()); s.read {
	case asNumber, asTime, asObject, asList, asPointer, asMap, asHeld:
		return s.readValue(dec, value)
	case asInt, asUint:
		if dec.PeekKind() == jsontext.KindNumber {
			return readInteger(dec, value)
		}
	default:
	}
	value.SetZero() // of a name that comes twice the last counts; the library would add to what is there
	return errors.ErrUnsupported
}

// readValue sets v from the next value.
func (s *shape) readValue(dec *jsontext.Decoder, v reflect.Value) error {
	s.clear(v)
	kind := dec.PeekKind()
	if kind == jsontext.KindNull && s.read != byLibrary {
		return dec.SkipValue()
	}
	switch s.read {
	case asText:
		if kind == jsontext.KindString {
			token, err := dec.ReadToken()
			v.SetString(token.String())
			return err
		}
	case asBool:
		if kind == jsontext.KindTrue || kind == jsontext.KindFalse {
			v.SetBool(kind == jsontext.KindTrue)
			return dec.SkipValue()
		}
	case asInt, asUint:
		if kind == jsontext.KindNumber {
			return readInteger(dec, v)
		}
	case asNumber:
		return readJSONNumber(dec, v)
	case asTime:
		return s.readTime(dec, v)
	case asObject:
		return s.readObject(dec, v)
	case asList:
		return s.readList(dec, v)
	case asPointer:
		v.Set(reflect.New(s.elem.typ))
		return s.elem.readValue(dec, v.Elem())
	case asMap:
		return s.readMap(dec, v)
	case asHeld:
		held, err := readHeld(dec)
		if held != nil {
			v.Set(reflect.ValueOf(held))
		}
		return err
	case asFloat:
		if kind == jsontext.KindNumber {
			f, err := readFloat(dec, s.typ)
			v.SetFloat(f)
			return err
		}
	case byLibrary:
		return json.UnmarshalDecode(dec, v.Addr().Interface())
	}
	return mismatch(dec, s.typ)
}

// clear makes v zero.
func (s *shape) clear(v reflect.Value) {
	if v.CanSet() {
		v.SetZero()
		return
	}
	for i := range s.fields { // of an embedded struct that is not exported
		if f, ok := s.fields[i].of(v); ok {
			s.fields[i].shape.clear(f)
		}
	}
}

func (s *shape) readObject(dec *jsontext.Decoder, v reflect.Value) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return mismatch(dec, s.typ)
	}
	if err := s.fault(false); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		i, known := s.byName[string(unquoted(name))]
		if !known {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		f := &s.fields[i]
		value, err := f.ofAnew(v)
		if err != nil {
			return err
		}
		read := f.shape.readValue
		if f.inString {
			read = f.shape.readInString
		}
		if err := read(dec, value); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// unquoted returns the text of a valid string. It may share its memory.
func unquoted(quoted jsontext.Value) []byte {
	if text, _, ok := readText(quoted); ok {
		return text
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // a lone surrogate is an error, and becomes U+FFFD
	return text
}

func (s *shape) readList(dec *jsontext.Decoder, v reflect.Value) error {
	if dec.PeekKind() == jsontext.KindString && v.Kind() == reflect.Array && s.elem.typ.Kind() == reflect.Uint8 {
		var bytes []byte // base64, as this library wrote an array of bytes before it wrote a list
		if err := json.UnmarshalDecode(dec, &bytes); err != nil {
			return err
		}
		reflect.Copy(v, reflect.ValueOf(bytes).Convert(reflect.SliceOf(s.elem.typ)))
		return nil
	}
	if dec.PeekKind() != jsontext.KindBeginArray {
		return mismatch(dec, s.typ)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	isArray := v.Kind() == reflect.Array
	if !isArray {
		v.Set(reflect.MakeSlice(s.typ, 0, 0))
	}
	for i := 0; dec.PeekKind() != jsontext.KindEndArray; i++ {
		if isArray && i >= v.Len() { // what is too much is passed over
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if !isArray {
			v.Grow(1)
			v.SetLen(i + 1)
		}
		if err := s.elem.readValue(dec, v.Index(i)); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// errInString says what the option string asks for.
var errInString = errors.New("the option string of its tag asks for a string that holds the value")

// readInString sets v from a string that holds its JSON, as the option string has it.
func (s *shape) readInString(dec *jsontext.Decoder, v reflect.Value) error {
	if s.read == byLibrary { // the type's own methods know nothing of the option
		return s.readValue(dec, v)
	}
	s.clear(v)
	if dec.PeekKind() == jsontext.KindNull {
		return dec.SkipValue()
	}
	if kind := dec.PeekKind(); kind != jsontext.KindString {
		if err := dec.SkipValue(); err != nil {
			return err
		}
		return misread(dec, kind, s.typ, errInString)
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	text := token.String()
	if text == "null" {
		return nil
	}
	if s.read == asPointer {
		v.Set(reflect.New(s.elem.typ))
		v, s = v.Elem(), s.elem
	}
	if err := s.setFrom(v, text); err != nil {
		return misread(dec, jsontext.KindString, s.typ, fmt.Errorf("%.40q: %w", text, err))
	}
	return nil
}

// setFrom sets a scalar from its JSON.
func (s *shape) setFrom(v reflect.Value, text string) error {
	switch s.read {
	case asBool:
		if text != "true" && text != "false" {
			return strconv.ErrSyntax
		}
		v.SetBool(text == "true")
		return nil
	case asText:
		quoted := jsontext.Value(text)
		if text == "" || text[0] != '"' || !quoted.IsValid(jsontext.AllowInvalidUTF8(true)) {
			return strconv.ErrSyntax
		}
		v.SetString(string(unquoted(quoted)))
		return nil
	default:
	}
	if text == "" || text[0] != '-' && !isDigit(text[0]) {
		return strconv.ErrSyntax
	}
	switch s.read {
	case asInt, asUint:
		return setInteger(v, []byte(text))
	case asFloat:
		f, err := strconv.ParseFloat(text, s.typ.Bits())
		if err != nil {
			return cause(err)
		}
		v.SetFloat(f)
	case asNumber:
		if _, rest, ok := readNumber([]byte(text)); !ok || len(rest) > 0 {
			return strconv.ErrSyntax
		}
		v.SetString(text)
	default:
	}
	return nil
}
