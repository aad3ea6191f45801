package jsonbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
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

// A decodeDifference is a payload on which the two may disagree, and why.
type decodeDifference struct {
	why      string
	applies  func(data []byte) bool
	example  string
	goneInV2 bool // not where encoding/json is made of encoding/json/v2
}

var decodeDifferences = []decodeDifference{
	{
		why:     "raw invalid UTF-8: refused by the wire, U+FFFD in encoding/json",
		applies: func(data []byte) bool { return errors.Is(CheckPayload(data), ErrInvalidUTF8) },
		example: "{\"id\":\"\xff\"}",
	},
	{
		why:     "null at the top: refused by the wire, a zero event in encoding/json",
		applies: func(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" },
		example: `null`,
	},
	{
		why:     "a name in another case: unknown to the wire, known to encoding/json",
		applies: func(data []byte) bool { return hasMember(data, isInAnotherCase) },
		example: `{"ID":"x"}`,
	},
	{
		why:     "a name twice, null the second time: the zero value here, the first value in encoding/json",
		applies: func(data []byte) bool { return hasMember(data, isDuplicate) },
		example: `{"id":"a","id":null}`,
	},
	{
		why: "a time with an escape in it: unescaped here, refused by encoding/json of this Go version",
		applies: func(data []byte) bool {
			return bytes.Contains(data, []byte(`\`)) && hasMember(data, isTime)
		},
		example:  `{"expiresAt":"2022-11-25T06:50:25\u002e380Z"}`,
		goneInV2: true,
	},
	{
		why:     "a time that is nearly RFC 3339 (hour of one digit, comma, offset of 24 hours): refused here",
		applies: func(data []byte) bool { return hasMember(data, isLooseTime) },
		example: `{"expiresAt":"2022-11-25T6:50:25Z"}`,
	},
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

func explained(data []byte) bool {
	for _, difference := range decodeDifferences {
		if difference.applies(data) {
			return true
		}
	}
	return false
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

// knownNames are the names of the two shapes' fields.
var knownNames = []string{
	"id", "version", "title", "price", "userId", "orderId", "status", "expiresAt", "ticket",
}

// strictTime is a time as RFC 3339 has it.
var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// A member is a name of an object and the first token of its value.
type member struct {
	name      string
	duplicate bool // its object has had the name before
	value     json.Token
}

func isInAnotherCase(m member) bool {
	for _, known := range knownNames {
		if m.name != known && strings.EqualFold(m.name, known) {
			return true
		}
	}
	return false
}

func isDuplicate(m member) bool { return m.duplicate }

func isTime(m member) bool { return strings.EqualFold(m.name, "expiresAt") }

func isLooseTime(m member) bool {
	text, isString := m.value.(string)
	return isTime(m) && isString && !strictTime.MatchString(text)
}

// hasMember reports whether any object of data has a member for which is holds.
func hasMember(data []byte, is func(member) bool) bool {
	found := false
	walkMembers(data, func(m member) { found = found || is(m) })
	return found
}

// walkMembers visits the members of all objects of data, as far as it is JSON.
func walkMembers(data []byte, visit func(member)) {
	type object struct {
		seen map[string]bool // nil: an array
		name *string         // nil: a name comes next
	}
	var stack []object
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 && stack[len(stack)-1].seen != nil {
			top := &stack[len(stack)-1]
			if top.name == nil {
				name := token.(string)
				top.name = &name
				continue
			}
			visit(member{*top.name, top.seen[*top.name], token})
			top.seen[*top.name] = true
			top.name = nil
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, object{seen: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, object{})
		}
	}
}

// TestDecodeDifferencesAreReal keeps the list honest: the two do disagree on
// each entry's example.
func TestDecodeDifferencesAreReal(t *testing.T) {
	chosen, std := ExperimentCodec(), Std()
	for _, difference := range decodeDifferences {
		data := []byte(difference.example)
		if !difference.applies(data) {
			t.Errorf("%q is not an example of: %s", data, difference.why)
		}
		var got, want OrderCreated
		gotErr, wantErr := chosen.Decode(data, &got), std.Decode(data, &want)
		agree := (gotErr == nil) == (wantErr == nil) && sameEvent(got, want)
		if gone := stdIsV2 && difference.goneInV2; agree != gone {
			t.Errorf("agree %v, not %v, on %q: %s", agree, gone, data, difference.why)
		}
	}
}
