package codec_test

import (
	stdjson "encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
)

// TestTags: a tag means what it means to encoding/json. FuzzWritesAsStandard and
// FuzzReadsAsStandard compare the two.
func TestTags(t *testing.T) {
	t.Parallel()
	type emptied struct {
		Text    string          `json:"text,omitempty"`
		Yes     bool            `json:"yes,omitempty"`
		Count   int             `json:"count,omitempty"`
		Price   float64         `json:"price,omitempty"`
		Pointer *string         `json:"pointer,omitempty"`
		ListOf  *[]string       `json:"listOf,omitempty"`
		List    []string        `json:"list,omitempty"`
		Any     any             `json:"any,omitempty"`
		Inner   struct{ A any } `json:"inner,omitempty"` //nolint:modernize // that it has no effect is the case
	}
	type zeroed struct {
		Count int       `json:"count,omitzero"`
		When  time.Time `json:"when,omitzero"`
		List  []string  `json:"list,omitzero"`
	}
	type inString struct {
		OK    bool     `json:"ok,string"`
		Text  string   `json:"text,string"`
		ID    int64    `json:"id,string"`
		Maybe *uint64  `json:"maybe,string"`
		List  []string `json:"list,string"` //nolint:staticcheck // the tag is the case
	}
	type named struct {
		Dash  string `json:"-,"` //nolint:staticcheck // the tag is the case
		Never string `json:"-"`
		Odd   string `json:"a b.c/d$é"`
		Quote string `json:"it's"`                    //nolint:staticcheck // the tag is the case
		Upper string `json:"id,omitEmpty"`            //nolint:revive,staticcheck // the tag is the case
		Other string `json:"other,embed,case:ignore"` //nolint:revive // the tag is the case
	}
	for want, v := range map[string]any{
		`{"inner":{"A":null}}`: &emptied{},
		`{"pointer":"","listOf":[],"any":"","inner":{"A":null}}`: &emptied{Pointer: new(string), ListOf: &[]string{}, List: []string{}, Any: ""},
		`{}`: &zeroed{},
		`{"count":1,"when":"1970-01-01T00:00:01.000Z","list":[]}`:                        &zeroed{Count: 1, When: time.Unix(1, 0), List: []string{}},
		`{"ok":"true","text":"\"a\"","id":"9007199254740993","maybe":null,"list":["a"]}`: &inString{OK: true, Text: "a", ID: 1<<53 + 1, List: []string{"a"}},
		`{"ok":"false","text":"\"\"","id":"0","maybe":"7","list":[]}`:                    &inString{Maybe: new(uint64(7))},
		`{"-":"a","a b.c/d$é":"b","Quote":"c","id":"","other":""}`:                       &named{Dash: "a", Never: "n", Odd: "b", Quote: "c"},
	} {
		require.Equal(t, want, encode(t, v))
		back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		require.NoError(t, codec.JSON{}.Decode([]byte(want), back))
		require.Equal(t, want, encode(t, back))
	}
	withSpace := reflect.New(reflect.StructOf([]reflect.StructField{ // go vet warns of one that is written here
		{Name: "ID", Type: reflect.TypeFor[string](), Tag: `json:"id, omitempty"`},
	})).Interface()
	require.Equal(t, `{"id":""}`, encode(t, withSpace), "an option that nobody knows")
}

func TestReadsInString(t *testing.T) {
	t.Parallel()
	type inString struct {
		OK    bool    `json:"ok,string"`
		ID    int64   `json:"id,string"`
		Text  string  `json:"text,string"`
		Price float64 `json:"price,string"`
	}
	for payload, text := range map[string]string{
		`{"ok":true}`: "asks for a string", `{"id":5}`: "asks for a string", `{"id":"five"}`: `"five"`, `{"id":"1.5"}`: "/id", `{"id":""}`: "/id",
		`{"text":"a"}`: "/text", `{"ok":"yes"}`: "/ok", `{"price":"1x"}`: "/price", `{"id":"9223372036854775808"}`: "out of range",
	} {
		require.ErrorContains(t, codec.JSON{}.Decode([]byte(payload), &inString{}), text, payload)
	}
	var got inString
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"ok":"null","id":null,"text":"\"\\u00fc\"","price":"1e3"}`), &got))
	require.Equal(t, inString{Text: "ü", Price: 1000}, got)
}

// TestJSONNumber: a json.Number is a number both ways.
func TestJSONNumber(t *testing.T) {
	t.Parallel()
	type priced struct {
		Price stdjson.Number            `json:"price"`
		More  []stdjson.Number          `json:"more"`
		Any   any                       `json:"any"`
		By    map[stdjson.Number]string `json:"by"`
	}
	event := priced{"12.50", []stdjson.Number{"", "-1e+400"}, stdjson.Number("7"), map[stdjson.Number]string{"1": "a"}}
	require.Equal(t, `{"price":12.50,"more":[0,-1e+400],"any":7,"by":{"1":"a"}}`, encode(t, &event))
	var got priced
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"price":12.50,"more":[1,"2",null],"by":{"1":"a"}}`), &got))
	require.Equal(t, priced{Price: "12.50", More: []stdjson.Number{"1", "2", ""}, By: map[stdjson.Number]string{"1": "a"}}, got)
	for _, payload := range []string{`{"price":"x"}`, `{"price":true}`, `{"price":{}}`, `{"price":""}`} {
		require.ErrorContains(t, codec.JSON{}.Decode([]byte(payload), &priced{}), "/price", payload)
	}
	_, err := codec.JSON{}.Encode(&priced{More: []stdjson.Number{"1", "one"}})
	require.ErrorContains(t, err, "/more/1")
}

// TestArrays: bytes of a fixed number are a list, others base64; a list may be shorter or
// longer than the array.
func TestArrays(t *testing.T) {
	t.Parallel()
	type arrays struct {
		Sum   [3]byte       `json:"sum"`
		Bytes []byte        `json:"bytes"`
		Pair  [2]string     `json:"pair"`
		Took  time.Duration `json:"took"`
	}
	require.Equal(t, `{"sum":[1,2,255],"bytes":"aGk=","pair":["a",""],"took":1500000000}`,
		encode(t, &arrays{[3]byte{1, 2, 255}, []byte("hi"), [2]string{"a"}, 1500 * time.Millisecond}))
	var got arrays
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"sum":[1],"bytes":"aGk=","pair":["a","b","c"],"took":1500000000}`), &got))
	require.Equal(t, arrays{[3]byte{1}, []byte("hi"), [2]string{"a", "b"}, 1500 * time.Millisecond}, got)
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"sum":"aGk="}`), &got), "as it was written before")
	require.Equal(t, [3]byte{'h', 'i'}, got.Sum)
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"sum":"*"}`), &got), "/sum")
}

// TestLastOfAName: of a name that comes twice the last counts, whatever the type.
func TestLastOfAName(t *testing.T) {
	t.Parallel()
	type pair struct{ A, B int }
	type twice struct {
		Struct  pair            `json:"struct"`
		Pointer *pair           `json:"pointer"`
		Map     map[string]pair `json:"map"`
		Any     any             `json:"any"`
		List    []pair          `json:"list"`
		Array   [2]int          `json:"array"`
	}
	for name, check := range map[string]func(twice) any{
		"struct":  func(x twice) any { return x.Struct },
		"pointer": func(x twice) any { return *x.Pointer },
		"list":    func(x twice) any { return x.List[0] },
		"map":     func(x twice) any { return x.Map["k"] },
	} {
		first, last := `{"A":1,"B":1}`, `{"B":2}`
		switch name {
		case "list":
			first, last = "["+first+"]", "["+last+"]"
		case "map":
			first, last = `{"k":`+first+`,"first":{}}`, `{"k":{"A":3},"k":`+last+`}`
		}
		var got twice
		require.NoError(t, codec.JSON{}.Decode([]byte(`{"`+name+`":`+first+`,"`+name+`":`+last+`}`), &got))
		require.Equal(t, pair{B: 2}, check(got), name)
		require.NotContains(t, got.Map, "first")
	}
	var got twice
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"any":{"a":1,"b":{"c":1}},"any":{"b":{"d":2},"b":{"e":3}},"array":[1,2],"array":[3],"pointer":{},"pointer":null}`), &got))
	require.Equal(t, twice{Any: map[string]any{"b": map[string]any{"e": 3.0}}, Array: [2]int{3}}, got)
}

// TestIntegersWithAPoint: 1.0 and 1e2 are integers, as other languages write them.
func TestIntegersWithAPoint(t *testing.T) {
	t.Parallel()
	type counts struct {
		Count int64            `json:"count"`
		Small uint8            `json:"small"`
		List  []int            `json:"list"`
		Map   map[string]int32 `json:"map"`
		Took  time.Duration    `json:"took"`
	}
	var got counts
	require.NoError(t, codec.JSON{}.Decode([]byte(
		`{"count":-1.0,"small":1e2,"list":[1.50E+1,0.0,0e400,-0.0,100e-2,9007199254740993.0],"map":{"a":2.0},"took":1.5e9}`), &got))
	require.Equal(t, counts{-1, 100, []int{15, 0, 0, 0, 1, 9007199254740993}, map[string]int32{"a": 2}, 1500 * time.Millisecond}, got)
	for _, number := range []string{"1.5", "1e-1", "1e400", "1e19", "-1e400", "0.1e-400", "1e99999999999999999999", "9223372036854775808.0", "12e-1"} {
		require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"count":`+number+`}`), &got), "/count", number)
	}
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"small":2.56e2}`), &got), "out of range")
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"list":[1,1.5]}`), &got), "/list/1")
}
