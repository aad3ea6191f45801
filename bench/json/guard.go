package jsonbench

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// The refusals that the codec makes itself, whatever library it stands on.
var (
	ErrInvalidUTF8 = errors.New("not valid UTF-8")
	ErrNotObject   = errors.New("not a JSON object")
)

// Guarded returns c with what a codec can add from outside: it looks at the
// bytes before decoding and after encoding, and never into the library.
func Guarded(c Contestant) Contestant {
	encode, appendTo, decode := c.Encode, c.Append, c.Decode
	c.Encode = func(v any) ([]byte, error) {
		out, err := encode(v)
		if err != nil {
			return nil, err
		}
		return CheckEncoded(out)
	}
	c.Append = func(dst []byte, v any) ([]byte, error) {
		out, err := appendTo(dst, v)
		if err != nil {
			return dst, err
		}
		tail, err := CheckEncoded(out[len(dst):])
		if err != nil {
			return dst, err
		}
		return out[:len(dst)+len(tail)], nil
	}
	c.Decode = func(data []byte, v any) error {
		if err := CheckPayload(data); err != nil {
			return err
		}
		return decode(data, v)
	}
	return c
}

// CheckPayload refuses what no event can be: bytes that are not UTF-8, and a
// top level that is not an object. The latter matters for null alone, which
// every library takes for "leave the value as it is".
func CheckPayload(data []byte) error {
	if !utf8.Valid(data) {
		return ErrInvalidUTF8
	}
	if rest := bytes.TrimLeft(data, " \t\r\n"); len(rest) == 0 || rest[0] != '{' {
		return ErrNotObject
	}
	return nil
}

// CheckEncoded refuses output that is not UTF-8, for libraries that copy a
// string's bytes unseen, and writes -0 as JavaScript does. It changes out. A
// library that refuses invalid UTF-8 itself needs FixNegativeZero alone.
func CheckEncoded(out []byte) ([]byte, error) {
	if !utf8.Valid(out) {
		return nil, ErrInvalidUTF8
	}
	return FixNegativeZero(out), nil
}
