package codec

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"log/slog"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// What encoding/json writes and reads is held against what the codec does, where the two
// are to agree. What differs on purpose is in DESIGN.md, and in differs and asJavaScript.

type (
	level    int
	code     [3]byte
	letter   byte
	spelled  struct{ Text string }
	worded   struct{ Text string }
	optional struct{ Set bool }

	Deep struct {
		ID   string `json:"deep"`
		Kind string
	}
	Shadowed struct {
		Text   string `json:"text"`
		Beside uint8  `json:"beside,omitempty"`
		Deep          //nolint:embeddedstructfieldcheck // the order of the fields is the case
	}
	small struct {
		A int    `json:"a,omitempty"`
		B string `json:"b,omitzero"`
		C *small `json:"c,omitempty"`
	}

	// tags has an instance of all that a tag and a type can be; Time is a time.Time here
	// and writes itself in encoding/json.
	tags[Time any] struct {
		Shadowed
		*Other

		Text      string             `json:"text,omitempty"`
		Yes       bool               `json:"yes,omitempty"`
		Count     level              `json:"count,omitempty"`
		Number    float64            `json:"number,omitempty"`
		Single    float32            `json:"single"`
		When      Time               `json:"when,omitempty"`
		Whens     []Time             `json:"whens,omitempty"`
		MaybeWhen *Time              `json:"maybeWhen,omitempty"`
		Pointer   *string            `json:"pointer,omitempty"`
		ListOf    *[]string          `json:"listOf,omitempty"`
		Lists     [][]int8           `json:"lists,omitempty"`
		Array     [2]int             `json:"array,omitempty"`
		NoArray   [0]int             `json:"noArray,omitempty"`
		Bytes     []byte             `json:"bytes,omitempty"`
		Code      code               `json:"code"`
		Letters   []letter           `json:"letters,omitempty"`
		Map       map[string]small   `json:"map,omitempty"`
		Any       any                `json:"any,omitempty"`
		Took      time.Duration      `json:"took"`
		Exact     stdjson.Number     `json:"exact,omitempty"`
		Raw       stdjson.RawMessage `json:"raw,omitempty"`
		Spelled   spelled            `json:"spelled"`
		Worded    *worded            `json:"worded,omitempty"`
		Optional  optional           `json:"optional,omitzero"`
		Zero      small              `json:"zero,omitzero"`
		Inner     []small            `json:"inner,omitempty"`

		ZeroPointer *optional                  `json:"zeroPointer,omitzero"`
		ZeroHeld    interface{ IsZero() bool } `json:"zeroHeld,omitzero"`
		ByInt       map[int16]string           `json:"byInt,omitempty"`
		ByText      map[worded]bool            `json:"byText,omitempty"`
		Twice       **int                      `json:"twice,omitempty"`

		InText     string          `json:"inText,string"`
		InBool     bool            `json:",string"`
		InInt      *int64          `json:"inInt,string"`
		InUint     uint64          `json:"inUint,string,omitempty"`
		InFloat    float64         `json:"inFloat,omitempty,string"`
		InNumber   stdjson.Number  `json:"inNumber,string"`
		InNothing  []string        `json:"inNothing,string,omitempty"` //nolint:staticcheck // the tag is the case
		InDuration time.Duration   `json:"inDuration,string"`
		InPointer  *stdjson.Number `json:"inPointer,string"`

		Dash      string `json:"-,"` //nolint:staticcheck // the tag is the case
		Never     string `json:"-"`
		Odd       int    `json:"a b.c/d$é"`
		Quote     int    `json:"it's"` //nolint:staticcheck // the tag is the case
		Emoji     int    `json:"😀"`
		Option    string `json:"option,omitEmpty"`                       //nolint:revive,staticcheck // the tag is the case
		Unknown   string `json:"unknown,embed,case:ignore,format:array"` //nolint:revive // the tag is the case
		Unnamed   string `json:",omitempty"`
		unwritten string
	}
	Other struct {
		Text  string `json:"text"`
		Other string `json:"other"`
	}
)

func (s spelled) MarshalJSON() ([]byte, error) { return jsontext.AppendQuote(nil, "~"+s.Text) }

func (s *spelled) UnmarshalJSON(data []byte) error {
	var text string
	err := stdjson.Unmarshal(data, &text)
	s.Text = strings.TrimPrefix(text, "~")
	return err
}

func (w worded) MarshalText() ([]byte, error) { return []byte("#" + w.Text), nil }

func (w *worded) UnmarshalText(text []byte) error {
	w.Text = strings.TrimPrefix(string(text), "#")
	return nil
}

func (o optional) IsZero() bool { return !o.Set }

// isoTime is a time that writes itself to encoding/json as JavaScript does.
type isoTime struct{ t time.Time }

func (t isoTime) MarshalJSON() ([]byte, error) {
	return t.t.UTC().AppendFormat(nil, toISOString), nil
}

// tagsOf fills the struct with what was drawn.
func tagsOf[Time any](text string, number float64, i int64, u uint64, when Time, flags uint32) *tags[Time] {
	number += 0 // and not -0, which JavaScript writes as 0
	some := func() bool {
		flags = flags>>1 | flags<<31
		return flags&1 == 1
	}
	x := &tags[Time]{
		Shadowed: Shadowed{Text: "hidden", Beside: uint8(u), Deep: Deep{ID: text, Kind: "k"}},
		Count:    level(i), Number: number, Single: float32(int16(i)) / 8, Took: time.Duration(i), Spelled: spelled{text},
		When: when, Array: [2]int{int(i), 1}, Code: code{byte(i), byte(u), 3}, InText: strings.NewReplacer("\u2028", "", "\u2029", "").Replace(text), InUint: u, InFloat: number,
		InDuration: time.Duration(u), InNothing: []string{text}, Dash: text, Never: text, Odd: int(i), Quote: 1, Emoji: 2, Option: "", unwritten: text,
	}
	x.Yes, x.InBool, x.Optional.Set = some(), some(), some()
	if some() {
		x.Other = &Other{Text: "hidden", Other: text}
		x.Text, x.Unnamed, x.Unknown, x.Option = text, text, text, text
	}
	if some() {
		x.Pointer, x.ListOf, x.Lists, x.Whens = new(string), &[]string{}, [][]int8{{}, {1, -1}}, []Time{when}
	}
	if some() {
		*x.ListOfOr() = append(*x.ListOfOr(), text, "")
		x.MaybeWhen, x.InInt, x.Bytes, x.Letters = &when, &i, []byte(text), []letter(text)
	}
	if some() {
		x.Map = map[string]small{text: {A: int(i), C: &small{B: text}}, "b": {}}
		x.ByInt, x.ByText = map[int16]string{int16(i): text, 10: "", 9: "a"}, map[worded]bool{{text}: true, {"a"}: false}
		x.ZeroPointer, x.ZeroHeld, x.Twice = &optional{Set: true}, optional{}, new(new(int(i)))
		x.Inner, x.Worded = []small{{A: 1}, {}, {C: &small{}}}, &worded{text}
	}
	if some() {
		x.Any = map[string]any{"b": []any{nil, text, 1.5, some()}, "a": small{A: 3}, "c": &worded{text}, "d": stdjson.Number("1.5"), "e": [2]byte{1, 2}}
		x.ZeroPointer, x.ZeroHeld = new(optional), (*optional)(nil)
		x.Zero, x.Exact, x.InNumber, x.InPointer = small{B: text}, "-1.50e+3", "12", new(stdjson.Number)
	}
	if some() {
		x.Any, x.Raw = text, stdjson.RawMessage(`{"a" : [1, "<"]}`)
	}
	return x
}

// ListOfOr makes the list if there is none.
func (x *tags[Time]) ListOfOr() *[]string {
	if x.ListOf == nil {
		x.ListOf = &[]string{}
	}
	return x.ListOf
}

// asJavaScript takes out of what encoding/json wrote that it always escapes U+2028 and U+2029.
func asJavaScript(text string) string {
	return lineSeparator.ReplaceAllStringFunc(text, func(escape string) string {
		switch escape {
		case `\u2028`:
			return "\u2028"
		case `\u2029`:
			return "\u2029"
		default:
			return escape
		}
	})
}

var lineSeparator = regexp.MustCompile(`\\(u202[89]|.)`)

func standard(t *testing.T, v any) string {
	t.Helper()
	var w strings.Builder
	std := stdjson.NewEncoder(&w)
	std.SetEscapeHTML(false)
	require.NoError(t, std.Encode(v))
	return asJavaScript(strings.TrimSuffix(w.String(), "\n"))
}

// FuzzWritesAsStandard: what the codec writes is what encoding/json writes.
func FuzzWritesAsStandard(f *testing.F) {
	for n, text := range []string{"", "text", `a"b\`, "<&>", "\u2028", `\u2028`, "ü", "\x00", "longer than eight bytes"} {
		f.Add(text, 1.5, int64(n), uint64(n), int64(1669359025382), uint32(0x5a3c*n))
	}
	f.Add("-0", 0.0, int64(-1<<63), uint64(1<<64-1), int64(0), uint32(1<<32-1))
	f.Fuzz(func(t *testing.T, text string, number float64, i int64, u uint64, milli int64, flags uint32) {
		when := time.UnixMilli(milli)
		ours := tagsOf(text, number, i, u, when, flags)
		got, err := JSON{warnings: silent}.Encode(ours)
		if year := when.UTC().Year(); !utf8.ValidString(text) || math.IsNaN(number) || math.IsInf(number, 0) || year < 0 || year > 9999 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, standard(t, tagsOf(text, number, i, u, isoTime{when}, flags)), string(got))

		var back tags[time.Time]
		require.NoError(t, JSON{}.Decode(got, &back), "%s", got)
		again, err := JSON{warnings: silent}.Encode(&back)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}

// FuzzReadsAsStandard: what the codec reads is what encoding/json reads, but for what
// differs on purpose.
func FuzzReadsAsStandard(f *testing.F) {
	for flags := range uint32(16) {
		whole, err := JSON{}.Encode(tagsOf("text", 1.5, int64(flags), 7, time.UnixMilli(1669359025382), flags*0x11))
		require.NoError(f, err)
		f.Add(whole)
	}
	for _, payload := range []string{
		`{}`, `null`, ` {"text":null,"yes":true} `, `{"pointer":"a","listOf":["b",null],"lists":[[1],null]}`, `{"array":[1]}`, `{"array":[1,2,3]}`, `{"array":[]}`,
		`{"bytes":"aGk=","code":[1,2],"letters":"aGk="}`, `{"bytes":[1,2],"code":"aGk="}`, `{"bytes":"a\r\nGk="}`, `{"took":1500,"exact":1.50,"inNumber":"12"}`,
		`{"exact":"1","inNumber":12}`, `{"exact":"x"}`, `{"exact":""}`, `{"inNumber":"1x"}`, `{"inText":"\"a\"","InBool":"true","inInt":"-5","inUint":"01","inFloat":"1e3"}`,
		`{"inText":"a"}`, `{"InBool":true}`, `{"inInt":5}`, `{"inInt":"null"}`, `{"inInt":null,"inText":null}`, `{"inFloat":"0x1p-2"}`, `{"inFloat":"-Inf"}`,
		`{"inInt":"1.0"}`, `{"inInt":""}`, `{"inText":"\"\\ud800\""}`, `{"inPointer":"1"}`, `{"inNothing":["a"]}`,
		`{"-":"a","a b.c/d$é":1,"it's":1,"Quote":2,"Emoji":3,"😀":4,"Unnamed":"u","Never":"n"}`, `{"count":1.0}`, `{"count":1e2}`, `{"count":1.5}`, `{"count":1e400}`,
		`{"count":9223372036854775807}`, `{"count":9223372036854775808}`, `{"lists":[[1.0,128]]}`, `{"any":{"a":[1,null,"x",true,{}]}}`, `{"any":1e400}`,
		`{"raw":{"a" : 1},"spelled":"~a","worded":"#b"}`, `{"worded":null,"spelled":null,"raw":null}`, `{"text":"a","text":"b"}`, `{"TEXT":"a"}`,
		`{"deep":"d","Kind":"k","other":"o"}`,
		`{"map":{"a":{"a":1},"b":null},"inner":[{"c":{"c":{"b":"x"}}},null]}`, `{"text":1}`, `{"yes":1}`, `{"lists":{}}`, `{"zero":[]}`, `{"number":"1"}`, `{"any":{"a":1,"a":2}}`,
		`{"when":"2022-11-25T06:57:05.382Z","maybeWhen":null,"whens":["2022-11-25T06:57:05+01:00"]}`,
		`{"unknown":[{"x":1}],"nothing":{}}`, `{"byInt":{"1":"a"},"byText":{"#a":true},"twice":5}`, `{"byInt":{"x":""}}`, `{"twice":null}`, `{"inText":"\"\\'\""}`,
		`{"text":"\ud800"}`, `{"tex\u0074":"a"}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		readsAlike[tags[time.Time]](t, payload)
		readsAlike[everything](t, payload)
	})
}

func readsAlike[T any](t *testing.T, payload []byte) {
	t.Helper()
	if differs(payload) {
		return
	}
	var got, want T
	err := JSON{}.Decode(payload, &got)
	wantErr := stdjson.Unmarshal(payload, &want)
	var mistyped *stdjson.UnmarshalTypeError
	if errors.As(wantErr, &mistyped) && strings.ContainsAny(strings.TrimPrefix(mistyped.Value, "number "), ".eE") && mistyped.Type.Kind() <= reflect.Uintptr {
		return // an integer with a point, and what is behind it
	}
	require.Equal(t, wantErr == nil, err == nil, "%s\n%v\n%v", payload, wantErr, err)
	if err == nil {
		require.Equal(t, want, got, "%s", payload)
	}
}

// differs reports whether the two read a payload differently on purpose.
func differs(payload []byte) bool {
	if !utf8.Valid(payload) || string(bytes.TrimSpace(payload)) == "null" {
		return true
	}
	found := false
	walk(payload, func(name string, again bool, value stdjson.Token) {
		text, isText := value.(string)
		isTime := strings.HasSuffix(strings.ToLower(name), "when") || strings.EqualFold(name, "whens")
		switch {
		case again: // the last one counts
			found = true
		case isTime && isText && (!strictTime.MatchString(text) || bytes.Contains(payload, []byte(`\`))):
			found = true // RFC 3339 by the letter, escapes and all
		case oddInteger.MatchString(name):
			found = true // as a map's key
		case isText && name == "inText" && !stdjson.Valid([]byte(text)):
			found = true // encoding/json takes \' there, which is not JSON
		case isText && name == "code": // base64 for an array of bytes
			found = true
		case isText && strings.EqualFold(name, "inNumber") || strings.EqualFold(name, "inPointer"):
			if _, rest, ok := readNumber([]byte(text)); !ok || len(rest) > 0 {
				found = true // encoding/json takes whatever begins with a digit for a number
			}
		}
		for _, known := range append(shapeOf(reflect.TypeFor[tags[time.Time]]()).fields, shapeOf(reflect.TypeFor[everything]()).fields...) {
			found = found || name != known.name && strings.EqualFold(name, known.name)
		}
		for _, known := range []string{"Set", "a", "b", "c", "id", "kind", "Text"} {
			found = found || name != known && strings.EqualFold(name, known)
		}
	})
	return found
}

// oddInteger is an integer that is not written as JSON has it.
var oddInteger = regexp.MustCompile(`^(\+|-?0+\d|-0)`)

// strictTime is a time as RFC 3339 has it.
var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// walk visits the names of all objects of a payload, each with the first token of its
// value and of those in its list.
func walk(payload []byte, visit func(name string, again bool, value stdjson.Token)) {
	type object struct {
		names  map[string]bool // nil: a list
		name   string
		inside bool // a value comes next
	}
	var stack []object
	decoder := stdjson.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		if token == stdjson.Delim('}') || token == stdjson.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		name := ""
		if len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.names != nil && !top.inside {
				top.name, _ = token.(string)
				top.inside = true
				continue
			}
			name = top.name
			visit(name, top.names[name], token)
			if top.names != nil {
				top.names[name] = true
				top.inside = false
			}
		}
		switch token {
		case stdjson.Delim('{'):
			stack = append(stack, object{names: map[string]bool{}})
		case stdjson.Delim('['):
			stack = append(stack, object{name: name})
		}
	}
}

var silent = &warnings{log: slog.New(slog.DiscardHandler)}
