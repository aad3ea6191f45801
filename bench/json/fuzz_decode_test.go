package jsonbench

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// FuzzDecodeDifferential decodes the same bytes with the chosen contestant and
// with encoding/json. They have to agree on whether it is an event, and on
// which, unless one of decodeDifferences explains why not.
func FuzzDecodeDifferential(f *testing.F) {
	for _, seed := range decodeSeeds {
		f.Add([]byte(seed))
	}
	chosen, std := ExperimentCodec(), Std()
	f.Fuzz(func(t *testing.T, data []byte) {
		compareDecoding[TicketUpdated](t, chosen, std, data)
		compareDecoding[OrderCreated](t, chosen, std, data)
	})
}

// decodeSeeds are one event of each shape and one of each kind of difference.
var decodeSeeds = []string{
	`{"id":"t1","version":1,"title":"a\"\u00e9\ud83d\ude00","price":20.5,"userId":"u","orderId":"o"}`,
	`{"id":"o1","version":0,"status":"created","userId":"u","expiresAt":"2022-11-25T06:50:25.380Z","ticket":{"id":"t","price":1e-7}}`,
	`{"ID":"x","Ticket":{"Id":"x"}}`,
	`{"id":"a","id":null,"ticket":{"id":"a"},"ticket":{"price":1}}`,
	`{"id":"\ud800","other":[1,{"a":null}],"price":-0}`,
	"{\"id\":\"\xff\"}",
	`null`,
	`{"expiresAt":"2022-11-25T6:50:25,380+24:60"}`,
}

func compareDecoding[T any](t *testing.T, chosen, std Contestant, data []byte) {
	t.Helper()
	var got, want T
	gotErr, wantErr := chosen.Decode(data, &got), std.Decode(data, &want)
	agree := (gotErr == nil) == (wantErr == nil)
	if agree && gotErr == nil {
		agree = sameEvent(got, want)
	}
	if !agree && !explained(data) {
		t.Errorf("%q into %T:\n%s %+v, %v\n%s %+v, %v",
			data, got, chosen.Name, got, gotErr, std.Name, want, wantErr)
	}
	if gotErr == nil {
		checkRoundTrip(t, chosen, got, data)
	}
}

// checkRoundTrip wants what was decoded to survive another round.
func checkRoundTrip[T any](t *testing.T, c Contestant, event T, data []byte) {
	t.Helper()
	encoded, err := c.Encode(&event)
	if errors.Is(err, ErrYear) {
		return // the first hours of year 0 east of Greenwich are year -1 in UTC
	}
	if err != nil {
		t.Errorf("%q was decoded but can't be encoded: %v", data, err)
		return
	}
	var again T
	if err := c.Decode(encoded, &again); err != nil {
		t.Errorf("%q encoded as %q can't be decoded: %v", data, encoded, err)
		return
	}
	if !sameEvent(again, asWritten(event)) {
		t.Errorf("%q came back from %q as %+v, not %+v", data, encoded, again, event)
	}
}

// sameEvent compares events field by field, and a time by its instant.
func sameEvent[T any](a, b T) bool {
	orderA, ok := any(a).(OrderCreated)
	if !ok {
		return reflect.DeepEqual(a, b)
	}
	orderB := any(b).(OrderCreated)
	if !orderA.ExpiresAt.Equal(orderB.ExpiresAt) {
		return false
	}
	orderA.ExpiresAt, orderB.ExpiresAt = time.Time{}, time.Time{}
	return orderA == orderB
}

// asWritten is what is left of an event on the wire: whole milliseconds.
func asWritten[T any](event T) T {
	if order, ok := any(&event).(*OrderCreated); ok {
		order.ExpiresAt = cutToMillisecond(order.ExpiresAt)
	}
	return event
}

// cutToMillisecond drops what is below a millisecond. Time.Truncate would do so
// too, but is defined on the absolute time, not on what is written.
func cutToMillisecond(t time.Time) time.Time {
	return t.Add(-time.Duration(t.Nanosecond() % int(time.Millisecond)))
}
