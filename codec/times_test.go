package codec_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
)

type (
	wrappedTime struct{ time.Time }
	definedTime time.Time
	twiceTime   definedTime
	deepTime    struct{ wrappedTime }
	pointerTime struct{ *time.Time }
	besideTime  struct {
		time.Time

		Zone string `json:"zone"`
	}
	// The author of these has said what they are.
	ownTime struct{ time.Time }
	keyTime struct{ time.Time }
)

func (ownTime) MarshalJSON() ([]byte, error)  { return []byte(`"own"`), nil }
func (*ownTime) UnmarshalJSON([]byte) error   { return nil }
func (*keyTime) MarshalJSON() ([]byte, error) { return []byte(`"pointer"`), nil }

// TestTimesHoweverWrapped: a time.Time that is wrapped or defined anew is written as
// toISOString writes it, and is read.
func TestTimesHoweverWrapped(t *testing.T) {
	t.Parallel()
	type times struct {
		Wrapped wrappedTime              `json:"wrapped"`
		Defined definedTime              `json:"defined"`
		Twice   twiceTime                `json:"twice"`
		Deep    deepTime                 `json:"deep"`
		Pointer pointerTime              `json:"pointer"`
		Beside  besideTime               `json:"beside"`
		List    []wrappedTime            `json:"list"`
		Map     map[string]definedTime   `json:"map"`
		Keys    map[wrappedTime]int      `json:"keys"`
		Any     any                      `json:"any"`
		Maybe   *definedTime             `json:"maybe"`
		Zero    wrappedTime              `json:"zero,omitzero"`
		In      struct{ At definedTime } `json:"in"`
	}
	at := time.Date(2022, 11, 25, 8, 50, 25, 382999999, time.FixedZone("", 2*3600))
	event := times{
		Wrapped: wrappedTime{at}, Defined: definedTime(at), Twice: twiceTime(at), Deep: deepTime{wrappedTime{at}}, Pointer: pointerTime{&at},
		Beside: besideTime{at, "CET"}, List: []wrappedTime{{at}}, Map: map[string]definedTime{"a": definedTime(at)}, Keys: map[wrappedTime]int{{at}: 1},
		Any: wrappedTime{at}, Maybe: new(definedTime(at)),
	}
	event.In.At = definedTime(at)
	const iso = `"2022-11-25T06:50:25.382Z"`
	payload := `{"wrapped":` + iso + `,"defined":` + iso + `,"twice":` + iso + `,"deep":` + iso + `,"pointer":` + iso + `,"beside":` + iso +
		`,"list":[` + iso + `],"map":{"a":` + iso + `},"keys":{` + iso + `:1},"any":` + iso + `,"maybe":` + iso + `,"in":{"At":` + iso + `}}`
	require.Equal(t, payload, encode(t, &event))
	var back times
	require.NoError(t, codec.JSON{}.Decode([]byte(payload), &back))
	want := time.Date(2022, 11, 25, 6, 50, 25, 382000000, time.UTC)
	require.Equal(t, want, back.Wrapped.Time)
	require.Equal(t, want, time.Time(back.Defined))
	require.Equal(t, want, *back.Pointer.Time)
	require.Equal(t, payload, encode(t, &back))

	require.NoError(t, codec.JSON{}.Decode([]byte(`{"wrapped":null,"defined":null,"pointer":null,"maybe":null}`), &back))
	require.Nil(t, back.Pointer.Time)
	require.Contains(t, encode(t, &back), `"pointer":null`)
	require.True(t, back.Wrapped.IsZero())
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"list":[`+iso+`,"today"]}`), &back), "/list/1")
	_, err := codec.JSON{}.Encode(&times{List: []wrappedTime{{}, {time.Unix(1<<40, 0)}}})
	require.ErrorContains(t, err, "/list/1")
	require.ErrorContains(t, err, "year")
}

// TestTimesOfTheirAuthor: a type with a MarshalJSON of its own writes itself.
func TestTimesOfTheirAuthor(t *testing.T) {
	t.Parallel()
	type times struct {
		Own ownTime `json:"own"`
		Key keyTime `json:"key"`
	}
	require.Equal(t, `{"own":"own","key":"pointer"}`, encode(t, &times{}))
	var back times
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"own":"whatever","key":"2022-11-25T06:50:25.382Z"}`), &back))
	require.True(t, back.Own.IsZero())
	require.Equal(t, 2022, back.Key.Year())
}

// TestTimeIsNoEvent: a struct that embeds a time is that time, and no object.
func TestTimeIsNoEvent(t *testing.T) {
	t.Parallel()
	for _, v := range []any{besideTime{}, wrappedTime{}, definedTime{}, time.Time{}} {
		_, err := codec.JSON{}.Encode(reflect.New(reflect.TypeOf(v)).Interface())
		require.ErrorIs(t, err, codec.ErrNotObject)
		require.ErrorIs(t, codec.CheckEncode(codec.JSON{}, reflect.TypeOf(v)), codec.ErrNotObject)
		require.ErrorIs(t, codec.CheckDecode(codec.JSON{}, reflect.TypeOf(v)), codec.ErrNotObject)
	}
	require.ErrorContains(t, codec.CheckEncode(codec.JSON{}, reflect.TypeFor[besideTime]()), "embeds a time.Time")
}
