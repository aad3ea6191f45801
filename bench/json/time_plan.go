package jsonbench

import (
	"reflect"
	"sync"
	"time"
)

// timePlans remembers by reflect.Type whether an event can hold a time.Time.
var timePlans sync.Map

// needsTimeHook reports whether v can hold a time.Time anywhere.
//
// A hook for time.Time is looked up for every value of an event, whatever its
// type. Most events have no time: to know so costs one look-up an event.
func needsTimeHook(v any) bool {
	t := reflect.TypeOf(v)
	if needs, known := timePlans.Load(t); known {
		return needs.(bool) //nolint:forcetypeassert // only this function stores, and only bools
	}
	needs := t != nil && mayHoldTime(t, map[reflect.Type]bool{})
	timePlans.Store(t, needs)
	return needs
}

// mayHoldTime reports whether a value of type t can hold a time.Time. An
// interface can hold anything. seen ends the walk of a recursive type.
func mayHoldTime(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
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
		return false
	default:
		return false
	}
}
