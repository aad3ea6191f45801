package codec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// numberText returns what a json.Number is in JSON: 0 if it is empty.
func numberText(n string) (string, error) {
	if n == "" {
		return "0", nil
	}
	if _, rest, ok := readNumber([]byte(n)); !ok || len(rest) > 0 {
		return "", fmt.Errorf("%q is not a number: %w", n, strconv.ErrSyntax)
	}
	return n, nil
}

// writeNumber writes a json.Number.
func writeNumber(enc *jsontext.Encoder, n string) error {
	if kind, length := enc.StackIndex(enc.StackDepth()); kind == jsontext.KindBeginObject && length%2 == 0 {
		return enc.WriteToken(jsontext.String(n)) // a map's key
	}
	text, err := numberText(n)
	if err != nil {
		return refuse(enc, numberType, err)
	}
	return enc.WriteValue(jsontext.Value(text))
}

// readJSONNumber sets v, a json.Number that is empty, from the next value: a number, or a
// string that holds one.
func readJSONNumber(dec *jsontext.Decoder, v reflect.Value) error {
	kind, length := dec.StackIndex(dec.StackDepth())
	isKey := kind == jsontext.KindBeginObject && length%2 == 0
	switch k := dec.PeekKind(); k {
	case jsontext.KindNull:
		return dec.SkipValue()
	case jsontext.KindNumber:
		number, err := dec.ReadValue()
		v.SetString(string(number))
		return err
	case jsontext.KindString:
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		text := token.String()
		if _, rest, ok := readNumber([]byte(text)); !isKey && (!ok || len(rest) > 0) {
			return misread(dec, k, numberType, fmt.Errorf("%q is not a number: %w", text, strconv.ErrSyntax))
		}
		v.SetString(text)
		return nil
	default:
		return mismatch(dec, numberType)
	}
}

// readInteger sets v, of an integer type, from the next value, which is a number. 1.0 and
// 1e2 are integers, as other languages write them.
func readInteger(dec *jsontext.Decoder, v reflect.Value) error {
	number, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if err := setInteger(v, number); err != nil {
		return misread(dec, jsontext.KindNumber, v.Type(), fmt.Errorf("%.40s: %w", number, err))
	}
	return nil
}

func setInteger(v reflect.Value, number []byte) error {
	err := parseInteger(v, string(number))
	if err == strconv.ErrSyntax { //nolint:errorlint // parseInteger wraps nothing
		if text, ok := integer(number); ok {
			return parseInteger(v, text)
		}
	}
	return err
}

func parseInteger(v reflect.Value, text string) error {
	if v.CanInt() {
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err == nil {
			v.SetInt(i)
		}
		return cause(err)
	}
	u, err := strconv.ParseUint(text, 10, v.Type().Bits())
	if err == nil {
		v.SetUint(u)
	}
	return cause(err)
}

// integer writes a number that has a point or an exponent without them. It is not ok if
// that is no integer, or far beyond 64 bits.
func integer(number []byte) (text string, ok bool) {
	if _, rest, ok := readNumber(number); !ok || len(rest) > 0 {
		return "", false
	}
	mantissa, exponent, _ := strings.Cut(strings.ReplaceAll(string(number), "E", "e"), "e")
	digits, sign := strings.CutPrefix(mantissa, "-")
	whole, part, _ := strings.Cut(digits, ".")
	part = strings.TrimRight(part, "0")
	digits = strings.TrimLeft(whole+part, "0")
	if digits == "" {
		return "0", true
	}
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil {
			return "", false
		}
	}
	switch shift -= len(part); {
	case shift >= 0 && shift <= maxDigits:
		digits += strings.Repeat("0", shift)
	case shift < 0 && -shift < len(digits) && strings.Trim(digits[len(digits)+shift:], "0") == "":
		digits = digits[:len(digits)+shift]
	default:
		return "", false
	}
	if sign {
		return "-" + digits, true
	}
	return digits, true
}

// maxDigits is how many an integer of 64 bits has at most.
const maxDigits = 20

// cause takes away what strconv's errors say beside why.
func cause(err error) error {
	if e, ok := err.(*strconv.NumError); ok { //nolint:errorlint // it is strconv's own
		return e.Err
	}
	return err
}

// mismatch returns the error that the next value does not fit the type.
func mismatch(dec *jsontext.Decoder, t reflect.Type) error {
	kind := dec.PeekKind()
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return misread(dec, kind, t, nil)
}

// misread returns the error that the value that was read last does not fit the type.
func misread(dec *jsontext.Decoder, kind jsontext.Kind, t reflect.Type, err error) error {
	return &json.SemanticError{JSONPointer: dec.StackPointer(), JSONKind: kind, GoType: t, Err: err}
}
