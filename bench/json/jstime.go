package jsonbench

import (
	"bytes"
	"errors"
	"time"
)

// isoLayout is the form of JavaScript's Date.prototype.toISOString.
const isoLayout = "2006-01-02T15:04:05.000Z"

// ErrYear refuses times that toISOString writes with a sign and six digits: no
// RFC 3339 reader takes those, Go's own included.
var ErrYear = errors.New("year outside of 0 to 9999")

// AppendISO appends t as toISOString writes it: UTC, whole milliseconds (cut
// off, never rounded up into another second), Z.
func AppendISO(dst []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return dst, ErrYear
	}
	return t.AppendFormat(dst, isoLayout), nil
}

// JSTime is a time that writes itself as toISOString does, for libraries that
// can't be told how to write a time.Time.
type JSTime struct{ time.Time }

// MarshalJSON implements json.Marshaler of every contestant.
func (t JSTime) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, len(`""`)+len(isoLayout))
	out, err := AppendISO(append(out, '"'), t.Time)
	return append(out, '"'), err
}

// UnmarshalJSON implements json.Unmarshaler of every contestant.
func (t *JSTime) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	return t.Time.UnmarshalJSON(data)
}
