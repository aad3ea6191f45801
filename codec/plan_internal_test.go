package codec

import (
	stdjson "encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

type (
	word   string
	weight float64
	base   struct {
		ID   string `json:"id"`
		Kind word   `json:"kind"`
	}
	Embedded struct {
		Count int64  `json:"count"`
		Small uint16 `json:"small"`
	}
	everything = everythingOf[time.Time]
	// everythingOf is over the type of its time, which writes itself in encoding/json.
	everythingOf[Time any] struct {
		Embedded

		Base   base     `json:"base"`
		Text   string   `json:"text"`
		Weight weight   `json:"weight"`
		Yes    bool     `json:"yes"`
		When   Time     `json:"when,omitempty"`
		Byte   int8     `json:"byte"`
		Empty  struct{} `json:"empty"`
		NoTag  uint64
		Maybe  string `json:"maybe,omitempty"`

		MaybeInt   portion         `json:"maybeInt,omitempty"`
		MaybeUint  uintptr         `json:"maybeUint,omitempty"`
		MaybeYes   bool            `json:"maybeYes,omitempty"`
		MaybeFloat float64         `json:"maybeFloat,omitempty"`
		Took       time.Duration   `json:",omitempty"`
		Quoted     string          `json:"quo'ted"` //nolint:staticcheck // the tag is the case
		base       `json:"tagged"` //nolint:embeddedstructfieldcheck // the order of the fields is the case
		left       func()
	}
	portion int8
)

func everythingWith[Time any](text string, number float64, count int64, when Time) *everythingOf[Time] {
	return &everythingOf[Time]{
		Embedded: Embedded{Count: count, Small: uint16(count)},
		Base:     base{ID: text, Kind: word(text)}, Text: text, Weight: weight(number), Yes: count%2 == 0,
		When: when, Byte: int8(count), NoTag: uint64(count), Maybe: text,
		MaybeInt: portion(count >> 8), MaybeUint: uintptr(count >> 1), MaybeYes: count%3 == 0, MaybeFloat: number, Took: time.Duration(count),
		Quoted: text, base: base{ID: text}, left: func() {},
	}
}

// requireSame holds what is written for a plain struct against the library.
func requireSame(t *testing.T, v any) {
	t.Helper()
	want, wantErr := appendAny([]byte("before "), v)
	if !assert.NotNil(t, planOf(reflect.TypeOf(v).Elem()), "%T is plain", v) {
		return
	}
	got, _, ok := appendPlain([]byte("before "), v)
	require.Equal(t, wantErr == nil, ok, "%v", wantErr)
	if ok {
		require.Equal(t, string(want), string(got))
	} else {
		require.Equal(t, "before ", string(got))
	}
}

// FuzzPlain: the fast way writes what the library writes, or leaves it to it; and what
// encoding/json writes.
func FuzzPlain(f *testing.F) {
	for _, text := range []string{
		"", "text", `a"b`, `back\\slash`, "tab\t", "\x00", "\x1f", "\x7f", "<&>", "ü", "\u2028", "\xff",
		"longer than eight bytes", "exactly8", `1234567"`, "12345678\x80", "\U0001f600",
	} {
		f.Add(text, 1.5, int64(1), int64(1669359025382))
	}
	for _, number := range []float64{
		0, math.Copysign(0, -1), 1e-7, 1e-6, 9.99e-7, 1e20, 1e21, -1e21, 1e-10,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), 0.1, 100,
	} {
		f.Add("", number, int64(math.MinInt64), int64(math.MaxInt64))
	}
	f.Fuzz(func(t *testing.T, text string, number float64, count, when int64) {
		event := everythingWith(text, number, count, time.UnixMilli(when))
		requireSame(t, event)
		if got, _, ok := appendPlain(nil, event); ok {
			require.Equal(t, standard(t, everythingWith(text, number+0, count, isoTime{time.UnixMilli(when)})), string(got))
		}
	})
}

// TestEventsArePlain: the catalogue's events are written and read the fast way.
func TestEventsArePlain(t *testing.T) {
	t.Parallel()
	for _, e := range events.Catalogue() {
		if _, ok := e.(events.DeadLetter); ok {
			continue // it has bytes and a map
		}
		requireSame(t, reflect.New(reflect.TypeOf(e)).Interface())
		payload, err := JSON{}.Encode(reflect.New(reflect.TypeOf(e)).Interface())
		require.NoError(t, err)
		require.True(t, readPlain(payload, reflect.New(reflect.TypeOf(e)).Interface()), "%s", payload)
	}
}

// FuzzReadPlain: the fast way reads what the library reads, or leaves it to it.
func FuzzReadPlain(f *testing.F) {
	whole, err := JSON{warnings: silent}.Encode(&everything{
		Embedded: Embedded{Count: -5, Small: 7}, Base: base{ID: "5f8a", Kind: "über"}, Text: "a concert", Weight: 1.5e-7,
		Yes: true, When: time.UnixMilli(1669359025382), Byte: -128, NoTag: math.MaxUint64, Maybe: "m",
	})
	require.NoError(f, err)
	f.Add(whole)
	for _, payload := range []string{
		"", "{", "{}", "{}x", "{},", `{"text"}`, `{"text":}`, `{"text":"a"`, `{"text":"a",}`, `{,}`, `{"text":"a";}`, " {}", "null",
		`{"text":null}`, `{"text":"exactly8"}`, `{"text":"1234567\""}`, `{"text":"\ud800"}`, "{\"text\":\"\x1f\"}", "{\"text\":\"\xff\"}", "{\"text\":\"\x7f\"}",
		`{"text":"漢字漢字漢字"}`, `{"text":"a"}"`, `{"text":"a","text":"b"}`, `{"text":"a","base":{"id":"b"},"count":9}`, `{"te\u0078t":"a"}`, `{"TEXT":"a"}`,
		`{"base":{"id":"a"},"base":{"kind":"b"}}`, `{"base":{"id":"a","id":"b"}}`, `{"base":{}}`, `{"base":null}`, `{"base":{"id":"a"}`, `{"empty":{"x":1}}`,
		`{"x":1,"x":2}`, `{"x":"y","text":"a"}`, `{"x":{}}`, `{"x":[1]}`, `{"x":nul}`, `{"x":true,"y":false,"z":null}`, `{"x":-}`, `{"x":1.}`, `{"":0}`, `{"x":01}`,
		`{"byte":127}`, `{"byte":128}`, `{"byte":-129}`, `{"byte":-0}`, `{"byte":1.0}`, `{"byte":1e1}`, `{"byte":"1"}`, `{"byte":01}`,
		`{"small":-1}`, `{"small":-0}`, `{"small":65536}`,
		`{"count":9223372036854775808}`, `{"NoTag":18446744073709551616}`, `{"weight":-0}`, `{"weight":1e400}`, `{"weight":1e-400}`,
		`{"weight":1E+2}`, `{"weight":.5}`, `{"weight":1.e1}`,
		`{"weight":0.1e}`, `{"weight":1e+}`, `{"weight":-1}`, `{"weight":9007199254740993}`, `{"yes":true}`, `{"yes":false}`, `{"yes":truex}`, `{"yes":1}`,
		`{"when":"2022-11-25T06:57:05.382Z"}`, `{"when":"2022-02-30T06:57:05.382Z"}`, `{"when":"2022-11-25T24:00:00.000Z"}`, `{"when":"2022-11-25T06:57:60.000Z"}`,
		`{"when":"2022-11-25T06:57:05Z"}`, `{"when":"2022-11-25T06:57:05.382+01:00"}`, `{"when":"2022-11-25 06:57:05.382Z"}`, `{"when":"+002022-11-25T06:57:05.382Z"}`,
		`{"when":"0000-01-01T00:00:00.000Z"}`, `{"when":""}`, `{"when":"2022-11-25T06:57:05,382Z"}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !utf8.Valid(payload) {
			require.ErrorIs(t, JSON{}.Decode(payload, &everything{}), ErrNotUTF8)
			return
		}
		var want, quick, got everything
		wantErr := decodeAny(payload, &want)
		if readPlain(payload, &quick) {
			require.NoError(t, wantErr)
			require.Equal(t, want, quick)
			require.Equal(t, math.Signbit(float64(want.Weight)), math.Signbit(float64(quick.Weight)))
		}
		err := JSON{}.Decode(payload, &got)
		require.Equal(t, wantErr == nil, err == nil, "%v", wantErr)
		if err == nil {
			require.Equal(t, want, got)
		}
	})
}

// TestPlainIsReadHere: what JSON.stringify writes for an event is read the fast way, also with
// fields that are not known, in another order, or left out.
func TestPlainIsReadHere(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{"id":"5f8a4c1e9b3d","version":3,"title":"Björk, 東京 <live>","price":49.9,"userId":"5f8a4c1e9b3e"}`,
		`{"price":50,"id":"5f8a4c1e9b3d","sold":true,"venue":"x","row":-1.5e3,"none":null}`,
		`{}`,
	} {
		var got, want events.TicketCreated
		require.True(t, readPlain([]byte(payload), &got), payload)
		require.NoError(t, decodeAny([]byte(payload), &want))
		require.Equal(t, want, got)
	}
}

// TestShortTexts: short ones share memory, long ones do not, and each is what it was.
func TestShortTexts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a concert, ", 10)
	want := events.TicketCreated{ID: strings.Repeat("i", shortText), Title: long, UserID: strings.Repeat("u", shortText+1)}
	payload, err := JSON{}.Encode(&want)
	require.NoError(t, err)
	var got, other events.TicketCreated
	require.True(t, readPlain(payload, &got))
	require.Equal(t, want, got)
	require.True(t, readPlain([]byte(`{"id":"","title":"t","userId":"u"}`), &other))
	require.Equal(t, events.TicketCreated{Title: "t", UserID: "u"}, other)
	require.Equal(t, want, got, "what was read before is not touched")
}

type (
	marshals   struct{ A string }
	textual    struct{ A string }
	unmarshals struct{ A string }
	readsText  struct{ A string }
)

type (
	stamp   struct{ time.Time }
	defined time.Time
)

func (*marshals) MarshalJSON() ([]byte, error) { return []byte(`{}`), nil }
func (textual) MarshalText() ([]byte, error)   { return []byte("t"), nil }
func (*unmarshals) UnmarshalJSON([]byte) error { return nil }
func (*readsText) UnmarshalText([]byte) error  { return nil }

// TestNotPlain: all that the library may write or read in another way is left to it.
func TestNotPlain(t *testing.T) {
	t.Parallel()
	type nested struct {
		T textual `json:"t"`
	}
	type twice struct {
		Embedded

		A int
		B int `json:"A"`
	}
	for _, v := range []any{
		marshals{},
		textual{},
		unmarshals{},
		readsText{},
		nested{},
		twice{},
		1,
		"",
		[]int{},
		map[string]int{},
		struct {
			A string `json:"a,omitzero"`
		}{},
		struct {
			A string `json:"ä"`
		}{},
		struct {
			A int `json:",string"`
		}{},
		struct{ A *string }{},
		struct{ A []byte }{},
		struct{ A any }{},
		struct{ A [2]int }{},
		struct{ A float32 }{},
		struct{ A stamp }{},
		struct{ A defined }{},
		struct{ A stdjson.Number }{},
		struct{ A jsontext.Value }{},
		struct{ *Embedded }{},
		struct{ A map[string]string }{},
	} {
		assert.Nil(t, planOf(reflect.TypeOf(v)), "%T", v)
	}
	for _, v := range []any{nil, everything{}, (*everything)(nil)} {
		_, _, ok := appendPlain(nil, v)
		assert.False(t, ok, "%T", v)
		assert.False(t, readPlain([]byte("{}"), v), "%T", v)
	}
}

// TestWhatCantBeWrittenIsTheLibrarysError names the field.
func TestWhatCantBeWrittenIsTheLibrarysError(t *testing.T) {
	t.Parallel()
	for _, e := range []everything{{Text: "\xff"}, {Weight: weight(math.NaN())}, {When: time.Unix(1<<40, 0)}} {
		_, err := JSON{}.Encode(&e)
		require.Error(t, err)
		_, err = JSON{}.AppendEncode(nil, &e)
		require.Error(t, err)
		require.True(t, strings.Contains(err.Error(), "text") || strings.Contains(err.Error(), "weight") || strings.Contains(err.Error(), "when"), err.Error())
	}
}

func BenchmarkEncode(b *testing.B) {
	event := events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Title: "A concert in the open air", Price: 49.9, UserID: "5f8a4c1e9b3e"}
	for name, encode := range map[string]func([]byte, any) ([]byte, error){"plain": JSON{}.AppendEncode, "any": appendAny} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = encode(buf[:0], &event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	payloads := make([][]byte, 1024) // no two have an ID in common, which a decoder may remember
	for i := range payloads {
		payloads[i] = fmt.Appendf(nil, `{"id":"5f8a4c1e%04x","version":3,"title":"Concert %04d in the open air","price":49.9,"userId":"6f8a4c1e%04x"}`, i, i, i)
	}
	for name, decode := range map[string]func([]byte, any) error{"plain": JSON{}.Decode, "any": decodeAny} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var event events.TicketCreated
				if err := decode(payloads[i%len(payloads)], &event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
