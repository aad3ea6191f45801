package jsonbench

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// TestTraps writes down what ExperimentCodec does with field types that the
// catalogue's events don't have but a team's own may, wherever that is not what
// encoding/json does. The codec's documentation has to say these things.
func TestTraps(t *testing.T) {
	type price float64
	codec := ExperimentCodec()
	for _, trap := range []struct {
		name  string
		event any
		want  string // empty: refused
	}{
		{"a nil slice is [], not null", &struct{ F []string }{}, `{"F":[]}`},
		{"a nil map is {}, not null", &struct{ F map[string]int }{}, `{"F":{}}`},
		{"nil bytes are \"\", not null", &struct{ F []byte }{}, `{"F":""}`},
		{"an array of bytes is base64, not numbers", &struct{ F [3]byte }{}, `{"F":"AAAA"}`},
		{"omitempty keeps 0: omitzero is what leaves it out", &struct {
			F int `json:",omitempty"`
		}{}, `{"F":0}`},
		{"omitempty keeps false", &struct {
			F bool `json:",omitempty"`
		}{}, `{"F":false}`},
		{"omitempty leaves out a struct that would be {}", &struct {
			F struct {
				G string `json:",omitempty"`
			} `json:",omitempty"` //nolint:modernize // encoding/json/v2 does leave it out, which is the trap
		}{}, `{}`},
		{"omitzero leaves out 0", &struct {
			F int `json:",omitzero"`
		}{}, `{}`},
		{"a duration has no form of its own", &struct{ F time.Duration }{}, ``},
		{"a raw message is written anew", &struct{ F json.RawMessage }{json.RawMessage(`{ "a":-0, "b":"\u003c" }`)}, `{"F":{"a":0,"b":"<"}}`},
		{"-0 of a defined type is 0 too", &struct{ F price }{price(math.Copysign(0, -1))}, `{"F":0}`},
		{"a time within an any is toISOString too", &struct{ F any }{time.Unix(0, 5e8)}, `{"F":"1970-01-01T00:00:00.500Z"}`},
		{"keys of a map are in order", &struct{ F map[string]int }{map[string]int{"c": 3, "a": 1, "b": 2}}, `{"F":{"a":1,"b":2,"c":3}}`},
		{"an embedded time.Time is the whole event, as RFC 3339 with nanoseconds", &struct {
			time.Time
			F int
		}{Time: time.Unix(0, 5e8).UTC()}, `"1970-01-01T00:00:00.5Z"`},
		{"a json.Number is a string until encoding/json knows v2", &struct{ F json.Number }{"12"}, jsonNumber()},
	} {
		got, err := codec.Encode(trap.event)
		if refused := trap.want == ""; refused != (err != nil) || string(got) != trap.want {
			t.Errorf("%s: got %s, %v, want %s", trap.name, got, err, trap.want)
		}
	}
}

// jsonNumber is one more reason not to put a json.Number into an event: what it
// becomes depends on the Go version.
func jsonNumber() string {
	if stdIsV2 {
		return `{"F":12}`
	}
	return `{"F":"12"}`
}

// TestDuplicateMerges is the one place where the last of two members does not
// count alone, as it would for JSON.parse: objects are merged.
func TestDuplicateMerges(t *testing.T) {
	var order OrderCreated
	err := ExperimentCodec().Decode([]byte(`{"ticket":{"id":"a","price":1},"ticket":{"id":"b"}}`), &order)
	if err != nil {
		t.Fatal(err)
	}
	if want := (OrderTicket{ID: "b", Price: 1}); order.Ticket != want {
		t.Errorf("got %+v, want %+v", order.Ticket, want)
	}
}
