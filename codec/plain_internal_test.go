package codec

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

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
	everything struct {
		Embedded

		Base   base      `json:"base"`
		Text   string    `json:"text"`
		Weight weight    `json:"weight"`
		Yes    bool      `json:"yes"`
		When   time.Time `json:"when"`
		Byte   int8      `json:"byte"`
		Empty  struct{}  `json:"empty"`
		NoTag  uint64
		Maybe  string `json:"maybe,omitempty"`
	}
)

// requireSame holds what is written for a plain struct against the library.
func requireSame(t *testing.T, v any) {
	t.Helper()
	want, wantErr := appendAny([]byte("before "), v)
	if !assert.NotNil(t, planOf(reflect.TypeOf(v).Elem()), "%T is plain", v) {
		return
	}
	got, ok := appendPlain([]byte("before "), v)
	require.Equal(t, wantErr == nil, ok, "%v", wantErr)
	if ok {
		require.Equal(t, string(want), string(got))
	} else {
		require.Equal(t, "before ", string(got))
	}
}

// FuzzPlain: the fast way writes what the library writes, or leaves it to it.
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
		requireSame(t, &everything{
			Embedded: Embedded{Count: count, Small: uint16(count)},
			Base:     base{ID: text, Kind: word(text)}, Text: text, Weight: weight(number), Yes: count%2 == 0,
			When: time.UnixMilli(when), Byte: int8(count), NoTag: uint64(count), Maybe: text,
		})
	})
}

// TestEventsArePlain: the catalogue's events are written the fast way.
func TestEventsArePlain(t *testing.T) {
	t.Parallel()
	for _, e := range events.Catalogue() {
		if _, ok := e.(events.DeadLetter); ok {
			continue // it has bytes and a map
		}
		requireSame(t, reflect.New(reflect.TypeOf(e)).Interface())
	}
}

type (
	marshals struct{ A string }
	texts    struct{ A string }
)

func (*marshals) MarshalJSON() ([]byte, error) { return []byte(`{}`), nil }
func (texts) MarshalText() ([]byte, error)     { return []byte("t"), nil }

// TestNotPlain: all that the library may write in another way is left to it.
func TestNotPlain(t *testing.T) {
	t.Parallel()
	type hidden struct{ a string } //nolint:unused // it is the case
	type nested struct {
		T texts `json:"t"`
	}
	type twice struct {
		Embedded

		Count int `json:"count"`
	}
	for _, v := range []any{
		marshals{},
		texts{},
		nested{},
		hidden{},
		twice{},
		1,
		"",
		[]int{},
		map[string]int{},
		struct {
			A int `json:"a,omitempty"`
		}{},
		struct {
			A string `json:"a,omitzero"`
		}{},
		struct {
			A string `json:"-"`
		}{},
		struct {
			A string `json:"'a'"`
		}{},
		struct {
			A int `json:",string"`
		}{},
		struct{ A *string }{},
		struct{ A []byte }{},
		struct{ A any }{},
		struct{ A [2]int }{},
		struct{ A float32 }{},
		struct{ A time.Duration }{},
		struct{ A jsontext.Value }{},
		struct{ *Embedded }{},
		struct{ A map[string]string }{},
	} {
		assert.Nil(t, planOf(reflect.TypeOf(v)), "%T", v)
	}
	for _, v := range []any{nil, everything{}, (*everything)(nil)} {
		_, ok := appendPlain(nil, v)
		assert.False(t, ok, "%T", v)
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
	payload := []byte(`{"id":"5f8a4c1e9b3d","version":3,"title":"A concert in the open air","price":49.9,"userId":"5f8a4c1e9b3e"}`)
	b.ReportAllocs()
	for b.Loop() {
		var event events.TicketCreated
		if err := (JSON{}).Decode(payload, &event); err != nil {
			b.Fatal(err)
		}
	}
}
