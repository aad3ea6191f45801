package codec

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// toISOString is the form of a Date in JSON.stringify; bareISO is what it quotes.
const (
	bareISO     = "2006-01-02T15:04:05.000Z"
	toISOString = `"` + bareISO + `"`
)

func writeTime(enc *jsontext.Encoder, t time.Time) error {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return fmt.Errorf("year %d is beyond what RFC 3339 can write", year)
	}
	return enc.WriteValue(t.AppendFormat(enc.AvailableBuffer(), toISOString))
}

// timeHolders remembers what holdsTime found out, by reflect.Type.
var timeHolders sync.Map

// holdsTime reports whether a value of v's type can hold a time.Time anywhere.
func holdsTime(v any) bool {
	t := reflect.TypeOf(v)
	if holds, known := timeHolders.Load(t); known {
		return holds.(bool) //nolint:forcetypeassert // nothing else is stored
	}
	holds := t != nil && mayHoldTime(t, make(map[reflect.Type]bool))
	timeHolders.Store(t, holds)
	return holds
}

// mayHoldTime looks into t. seen ends the walk of a type that holds itself.
func mayHoldTime(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface: // anything may be in it
		return true
	case reflect.Map:
		return mayHoldTime(t.Key(), seen) || mayHoldTime(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return mayHoldTime(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if mayHoldTime(field.Type, seen) {
				return true
			}
		}
	default:
	}
	return false
}
