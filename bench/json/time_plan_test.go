package jsonbench

import (
	"testing"
	"time"
)

type list struct{ Next *list }

type datedList struct {
	Next *datedList
	At   time.Time
}

func TestNeedsTimeHook(t *testing.T) {
	for _, test := range []struct {
		v    any
		want bool
	}{
		{&TicketCreated{}, false},
		{&OrderCreated{}, true},
		{OrderCreated{}, true},
		{&list{}, false},
		{&datedList{}, true},
		{&struct{ F any }{}, true},
		{&struct{ F map[string][]*time.Time }{}, true},
		{&struct{ F map[time.Time]int }{}, true},
		{&struct{ F [2]int }{}, false},
		{&struct{ JSTime }{}, true},
		{nil, false},
	} {
		for range 2 { // found out, and remembered
			if got := needsTimeHook(test.v); got != test.want {
				t.Errorf("%T: got %v", test.v, got)
			}
		}
	}
}
