package codec

import (
	stdjson "encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type (
	byPointer struct{ Text string }
	keyed     string
	nested    struct {
		A int `json:"A"`
		B int `json:"B"`
	}
)

func (*byPointer) MarshalJSON() ([]byte, error) { return []byte(`"called"`), nil }
func (keyed) MarshalJSON() ([]byte, error)      { return []byte(`"called"`), nil }

// TestWritesUnlikeStandard holds what differs on purpose, each with its row in the table
// of DESIGN.md. "" is an error.
func TestWritesUnlikeStandard(t *testing.T) {
	t.Parallel()
	when := time.Date(2022, 11, 25, 8, 50, 25, 382999999, time.FixedZone("", 2*3600))
	for _, row := range []struct {
		what      string
		event     any
		ours, std string
	}{
		{what: "time", event: &struct{ T time.Time }{when}, ours: `{"T":"2022-11-25T06:50:25.382Z"}`, std: `{"T":"2022-11-25T08:50:25.382999999+02:00"}`},
		{what: "time embedded", event: &struct{ T stamp }{stamp{when}}, ours: `{"T":"2022-11-25T06:50:25.382Z"}`, std: `{"T":"2022-11-25T08:50:25.382999999+02:00"}`},
		{what: "time defined anew", event: &struct{ T defined }{defined(when)}, ours: `{"T":"2022-11-25T06:50:25.382Z"}`, std: `{"T":{}}`},
		{what: "-0", event: &struct{ F float64 }{math.Copysign(0, -1)}, ours: `{"F":0}`, std: `{"F":-0}`},
		{what: "HTML", event: &struct{ S string }{"<>&\u2028"}, ours: "{\"S\":\"<>&\u2028\"}", std: `{"S":"\u003c\u003e\u0026\u2028"}`},
		{what: "nil", event: &struct {
			L []int
			M map[string]int
			B []byte
			P *int
		}{}, ours: `{"L":[],"M":{},"B":"","P":null}`, std: `{"L":null,"M":null,"B":null,"P":null}`},
		{what: "UTF-8", event: &struct{ S string }{"\xff"}, ours: ``, std: `{"S":"\ufffd"}`},
		{what: "pointer receiver", event: &map[string]byPointer{"a": {"b"}}, ours: `{"a":"called"}`, std: `{"a":{"Text":"b"}}`},
		{what: "pointer receiver in an interface", event: &map[string]any{"a": byPointer{"b"}}, ours: `{"a":"called"}`, std: `{"a":{"Text":"b"}}`},
		{what: "key", event: &map[keyed]int{"a": 1}, ours: `{"called":1}`, std: `{"a":1}`},
		{what: "name twice", event: &struct{ R stdjson.RawMessage }{[]byte(`{"a":1,"a":2}`)}, ours: ``, std: `{"R":{"a":1,"a":2}}`},
		{what: "lone surrogate as it came", event: &struct{ R stdjson.RawMessage }{[]byte(`"\ud800"`)}, ours: ``, std: `{"R":"\ud800"}`},
		{what: "two fields of one name", event: &struct {
			A string
			B string `json:"A"`
		}{"a", "b"}, ours: ``, std: `{"A":"b"}`},
		{what: "no object", event: &[]int{1}, ours: ``, std: `[1]`},
	} {
		std, err := stdjson.Marshal(row.event)
		require.NoError(t, err, row.what)
		require.Equal(t, row.std, string(std), row.what)
		ours, err := JSON{}.Encode(row.event)
		require.Equal(t, row.ours == "", err != nil, "%s: %v", row.what, err)
		require.Equal(t, row.ours, string(ours), row.what)
	}
}

// TestReadsUnlikeStandard is the other half of the table.
func TestReadsUnlikeStandard(t *testing.T) {
	t.Parallel()
	type event struct {
		Text   string            `json:"text"`
		Count  int               `json:"count"`
		Quoted int               `json:"quoted,string"`
		Nested nested            `json:"nested"`
		Map    map[string]nested `json:"map"`
		Keys   map[int]int       `json:"keys"`
		When   time.Time         `json:"when"`
		Number stdjson.Number    `json:"number,string"`
		Sum    [2]byte           `json:"sum"`
		InText string            `json:"inText,string"`
	}
	when := time.Date(2022, 11, 25, 6, 50, 25, 0, time.UTC)
	for payload, row := range map[string]struct{ ours, std *event }{ // nil: an error
		`{"TEXT":"a"}`:                        {&event{}, &event{Text: "a"}},
		`null`:                                {nil, &event{}},
		`{"text":"a","text":null}`:            {&event{}, &event{Text: "a"}},
		`{"nested":{"A":1},"nested":{"B":2}}`: {&event{Nested: nested{B: 2}}, &event{Nested: nested{1, 2}}},
		`{"map":{"a":{"A":1}},"map":{"b":{"B":2}}}`: {&event{Map: map[string]nested{"b": {B: 2}}}, &event{Map: map[string]nested{"a": {A: 1}, "b": {B: 2}}}},
		`{"count":1.0}`:                        {&event{Count: 1}, nil},
		`{"count":1e2}`:                        {&event{Count: 100}, nil},
		`{"quoted":"1.0"}`:                     {&event{Quoted: 1}, nil},
		"{\"text\":\"\xff\"}":                  {nil, &event{Text: "\ufffd"}},
		`{"when":"2022-11-25T6:50:25Z"}`:       {nil, &event{When: when}},
		`{"when":"2022-11-25T06:50:25\u005a"}`: {&event{When: when}, nil},
		`{"number":"1x"}`:                      {nil, &event{Number: "1x"}},
		`{"inText":"\"\\'\""}`:                 {nil, &event{InText: "'"}},
		`{"keys":{"01":1}}`:                    {nil, &event{Keys: map[int]int{1: 1}}},
		`{"sum":"aGk="}`:                       {&event{Sum: [2]byte{'h', 'i'}}, nil},
	} {
		var ours, std event
		err := stdjson.Unmarshal([]byte(payload), &std)
		require.Equal(t, row.std == nil, err != nil, "%s: %v", payload, err)
		if row.std != nil {
			require.Equal(t, *row.std, std, payload)
		}
		err = JSON{}.Decode([]byte(payload), &ours)
		require.Equal(t, row.ours == nil, err != nil, "%s: %v", payload, err)
		if row.ours != nil {
			require.Equal(t, *row.ours, ours, payload)
		}
	}
}
