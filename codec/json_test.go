package codec_test

import (
	stdjson "encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
)

type thing struct {
	Text   string            `json:"text"`
	Number float64           `json:"number"`
	Count  int64             `json:"count"`
	When   time.Time         `json:"when,omitzero"`
	Inner  *inner            `json:"inner,omitempty"`
	List   []string          `json:"list,omitzero"`
	Map    map[string]string `json:"map,omitzero"`
}

type inner struct {
	Price price `json:"price"`
}

type price float64

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := codec.JSON{}.Encode(v)
	require.NoError(t, err)
	return string(data)
}

// TestWritesAsJavaScript holds the output against what JSON.stringify gives.
func TestWritesAsJavaScript(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<a href=\"x\">&</a>": `"<a href=\"x\">&</a>"`,
		"\u2028\u2029\ufeff":  "\"\u2028\u2029\ufeff\"",
		"\b\f\n\r\t\x00\x1f":  `"\b\f\n\r\t\u0000\u001f"`,
		"\x7f/\\":             "\"\x7f/\\\\\"",
		"漢😀":                  `"漢😀"`,
		`:-0,"-0"`:            `":-0,\"-0\""`,
	} {
		require.Equal(t, `{"text":`+want+`,"number":0,"count":0}`, encode(t, &thing{Text: text}))
	}
	for number, want := range map[float64]string{
		math.Copysign(0, -1): "0", -0.5: "-0.5", 1e21: "1e+21", 1e20: "100000000000000000000",
		1e-6: "0.000001", 1e-7: "1e-7", 0.30000000000000004: "0.30000000000000004", 5e-324: "5e-324",
		math.MaxFloat64: "1.7976931348623157e+308", -20: "-20",
	} {
		require.Equal(t, `{"text":"","number":`+want+`,"count":0}`, encode(t, &thing{Number: number}))
	}
	require.Equal(t, `{"text":"","number":0,"count":-1,"inner":{"price":0},"list":[],"map":{}}`, encode(t, &thing{
		Count: -1, Inner: &inner{Price: price(math.Copysign(0, -1))}, List: []string{}, Map: map[string]string{},
	}))
	when := time.Date(2022, 11, 25, 8, 50, 25, 382999999, time.FixedZone("", 2*3600))
	require.Equal(t, `{"text":"","number":0,"count":0,"when":"2022-11-25T06:50:25.382Z"}`, encode(t, &thing{When: when}))
}

// TestWritesTimesWhereverTheyAre in an event's type.
func TestWritesTimesWhereverTheyAre(t *testing.T) {
	t.Parallel()
	type list struct {
		At   *time.Time `json:"at,omitempty"`
		Next *list      `json:"next,omitempty"`
	}
	when := time.Unix(1, 0)
	const text = `"1970-01-01T00:00:01.000Z"`
	require.Equal(t, `{"next":{"at":`+text+`}}`, encode(t, &list{Next: &list{At: &when}}))
	require.Equal(t, `{"a":[`+text+`]}`, encode(t, &map[string][]time.Time{"a": {when}}))
	require.Equal(t, `{"a":`+text+`,"b":1}`, encode(t, &map[string]any{"b": 1, "a": when}), "keys in order")
	require.Equal(t, `{`+text+`:1}`, encode(t, &map[time.Time]int{when: 1}))
}

func TestRefusesToWrite(t *testing.T) {
	t.Parallel()
	for text, v := range map[string]any{
		"/text":              &thing{Text: "a\xff"},
		"/number":            &thing{Number: math.NaN()},
		"/inner/price":       &thing{Inner: &inner{Price: price(math.Inf(1))}},
		"year 10000":         &thing{When: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"not a JSON object":  new("text"),
		"[]string: not a JS": new([]string{"a"}),
		"/list/1":            &thing{List: []string{"", "\xc3"}},
	} {
		data, err := codec.JSON{}.AppendEncode([]byte("kept"), v)
		require.ErrorContains(t, err, text)
		require.Equal(t, "kept", string(data))
	}
}

// TestEventsThatHoldThemselves are an error, and not the end of the process.
func TestEventsThatHoldThemselves(t *testing.T) {
	t.Parallel()
	type link struct {
		Next *link `json:"next,omitempty"`
		Any  any   `json:"any,omitempty"`
	}
	ring := &link{Next: new(link)}
	ring.Next.Next = ring
	_, err := codec.JSON{}.Encode(ring)
	require.Error(t, err)
	held := map[string]any{}
	held["self"] = []any{held}
	_, err = codec.JSON{}.Encode(&link{Any: held})
	require.Error(t, err)
	require.Equal(t, `{"next":{"any":{}}}`, encode(t, &link{Next: &link{Any: map[string]any{}}}))
}

func TestAppends(t *testing.T) {
	t.Parallel()
	data, err := codec.JSON{}.AppendEncode([]byte("-0"), &thing{Number: math.Copysign(0, -1)})
	require.NoError(t, err)
	require.Equal(t, `-0{"text":"","number":0,"count":0}`, string(data))
}

// TestReadsAsJavaScript: what a Node service can publish decodes.
func TestReadsAsJavaScript(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]thing{
		`{}`:                       {},
		"\n{ \"text\" : \"a\" }\t": {Text: "a"},
		`{"Text":"upper","text":"lower","TEXT":1}`:       {Text: "lower"},
		`{"text":"first","text":"last"}`:                 {Text: "last"},
		`{"unknown":{"deep":[1,2,{}]},"count":7}`:        {Count: 7},
		`{"text":"\ud800 \ud83d\ude00"}`:                 {Text: "\ufffd 😀"},
		`{"number":null,"text":null,"list":null}`:        {},
		`{"number":1e+21,"count":9007199254740991}`:      {Number: 1e21, Count: 1<<53 - 1},
		`{"when":"2022-11-25T06:50:25.382Z"}`:            {When: time.Date(2022, 11, 25, 6, 50, 25, 382000000, time.UTC)},
		`{"inner":{"price":-0.0},"text":"\u2028\u0000"}`: {Inner: &inner{Price: price(math.Copysign(0, -1))}, Text: "\u2028\x00"},
	} {
		var got thing
		require.NoError(t, codec.JSON{}.Decode([]byte(payload), &got), payload)
		require.Equal(t, want, got, payload)
	}
}

func TestRefusesToRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		payload string
		is      error
		text    string
	}{
		{"", codec.ErrNotObject, ""},
		{"null", codec.ErrNotObject, ""},
		{" null ", codec.ErrNotObject, ""},
		{"[]", codec.ErrNotObject, ""},
		{`"text"`, codec.ErrNotObject, ""},
		{"\ufeff{}", codec.ErrNotObject, ""},
		{"{\"text\":\"\xff\"}", codec.ErrNotUTF8, ""},
		{"{\"\xc3\":1}", codec.ErrNotUTF8, ""},
		{`{"text":"cut`, nil, "unexpected EOF"},
		{`{"text":1}`, nil, "/text"},
		{`{"count":"1"}`, nil, "/count"},
		{`{"count":1.5}`, nil, "/count"},
		{`{"count":1e400}`, nil, "/count"},
		{`{"when":"yesterday"}`, nil, "/when"},
		{`{"inner":[]}`, nil, "/inner"},
		{`{} {}`, nil, "after top-level value"},
		{`{"text":"a\q"}`, nil, "/text"},
		{`{"unknown":` + strings.Repeat("[", 5<<20), nil, "exceeded max depth"},
		{strings.Repeat(`{"a":`, 5<<20), nil, "exceeded max depth"},
	} {
		var got thing
		err := codec.JSON{}.Decode([]byte(test.payload), &got)
		require.Error(t, err)
		if test.is != nil {
			require.ErrorIs(t, err, test.is, "%.40q", test.payload)
		}
		require.ErrorContains(t, err, test.text, "%.40q", test.payload)
		require.Less(t, len(err.Error()), 1000)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	require.Equal(t, "application/json", codec.JSON{}.ContentType())
}

func ExampleJSON() {
	type event struct {
		Title string    `json:"title"`
		Price float64   `json:"price"`
		At    time.Time `json:"at"`
	}
	data, err := codec.JSON{}.Encode(&event{Title: "Rock & Roll", Price: 20, At: time.Unix(0, 0)})
	fmt.Println(string(data), err)
	// Output: {"title":"Rock & Roll","price":20,"at":"1970-01-01T00:00:00.000Z"} <nil>
}

// FuzzDecode: whatever comes, it is decoded or refused; what is decoded is valid
// JSON to the standard library too, and encodes to something that decodes to the
// same again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"text":"a","number":-0,"count":1,"when":"2022-11-25T06:50:25.382Z"}`, `{"list":["\ud800"],"map":{"a":"b"}}`,
		`null`, `{"text":`, "{\"text\":\"\xff\"}", `{"inner":{"price":1e400}}`, strings.Repeat("[", 100), `{"text":"\":-0,"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := string(payload)
		var first thing
		err := codec.JSON{}.Decode(payload, &first)
		require.Equal(t, before, string(payload), "the payload must not change")
		if err != nil {
			return
		}
		require.True(t, stdjson.Valid(payload))
		if first.When.Year() > 9999 || first.When.UTC().Year() > 9999 || first.When.UTC().Year() < 0 {
			return
		}
		encoded, err := codec.JSON{}.Encode(&first)
		require.NoError(t, err)
		require.True(t, stdjson.Valid(encoded), "%s", encoded)
		var second thing
		require.NoError(t, codec.JSON{}.Decode(encoded, &second))
		again, err := codec.JSON{}.Encode(&second)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(again))
	})
}

// FuzzEncode holds the numbers and strings against the standard library's, which
// differ only where JavaScript's do.
func FuzzEncode(f *testing.F) {
	f.Add("text", 1.5, int64(1))
	f.Add(`:-0,`, math.Copysign(0, -1), int64(-1))
	f.Add("\xff", 1e21, int64(0))
	f.Add(`\":-0`, 0.0, int64(0))
	f.Fuzz(func(t *testing.T, text string, number float64, count int64) {
		type plain struct {
			Text   string  `json:"text"`
			Number float64 `json:"number"`
			Count  int64   `json:"count"`
		}
		encoded, err := codec.JSON{}.Encode(&plain{text, number, count})
		if math.IsNaN(number) || math.IsInf(number, 0) || strings.ToValidUTF8(text, "") != text {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		var w strings.Builder
		std := stdjson.NewEncoder(&w)
		std.SetEscapeHTML(false)
		require.NoError(t, std.Encode(plain{text, number + 0, count})) // -0 + 0 is 0
		want := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(w.String(), "\n"))
		if !strings.Contains(text, `\u202`) { // where the replacement would hit the text itself
			require.Equal(t, want, string(encoded))
		}
	})
}
