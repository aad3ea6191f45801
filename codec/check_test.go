package codec_test

import (
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
)

type (
	held struct {
		ID   string `json:"id"`
		Call func() `json:"call"`
	}
	tree struct {
		Name     string           `json:"name"`
		Children []*tree          `json:"children"`
		ByName   map[string]tree  `json:"byName"`
		Any      any              `json:"any"`
		Took     time.Duration    `json:"took"`
		At       wrappedTime      `json:"at"`
		Exact    stdjson.Number   `json:"exact"`
		Keys     map[keyText]bool `json:"keys"`
		Ignored  chan int         `json:"-"`
		hidden   chan int         //nolint:unused // nobody writes it
	}
	keyText   struct{ Text string }
	shape     interface{ Area() float64 }
	texts     struct{ Text string }
	list      struct{ Text string }
	object    struct{ Text string }
	panics    struct{ Text *string }
	unExposed struct{ Text string }
	OwnTime   time.Time
	embeds1   struct{ Name string }
	embeds2   struct{ Name string }
)

func (keyText) MarshalText() ([]byte, error) { return []byte("key"), nil }
func (*keyText) UnmarshalText([]byte) error  { return nil }
func (texts) MarshalText() ([]byte, error)   { return []byte("text"), nil }
func (list) MarshalJSON() ([]byte, error)    { return []byte("[]"), nil }
func (object) MarshalJSON() ([]byte, error)  { return []byte("{}"), nil }
func (p panics) MarshalJSON() ([]byte, error) {
	return stdjson.Marshal(map[string]string{"text": *p.Text})
}

// TestTypesThatCantWork are refused, and the error names the field and what to do.
func TestTypesThatCantWork(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event any
		text  string
	}{
		{held{}, "field Call is a func()"},
		{struct{ C chan int }{}, "field C is a chan int"},
		{struct{ In []map[string]*held }{}, "field In.Call is a func()"},
		{struct{ N complex128 }{}, "field N is a complex128"},
		{struct{ held }{}, "field held.Call is a func()"},
		{struct{ At struct{ OwnTime } }{}, "field At.OwnTime is an embedded time"},
		{struct{ *OwnTime }{}, "field OwnTime is an embedded time"},
		{map[string]chan int{}, "what it holds is a chan int"},
		{struct{ M map[bool]int }{}, "field M: a bool can't be the key"},
		{struct{ M map[embeds1]int }{}, "can't be the key"},
		{struct{ M map[*int]int }{}, "field M: a *int can't be the key"},
		{struct{ M map[**float64]int }{}, "field M: a **float64 can't be the key"},
		{struct{ M map[*time.Duration]int }{}, "can't be the key"},
		{cached, "field cache has the tag json:\"cache\" and is not exported"},
		{reflectTwice(), `field B has the name "a" in JSON, as A has`},
		{struct {
			Name  string
			Other string `json:"Name"`
		}{}, `field Name has the name "Name" in JSON, as Other has`},
		{struct {
			embeds1
			embeds2
		}{}, `field embeds2.Name has the name "Name" in JSON, as embeds1.Name has`},
		{[]int{}, "not a JSON object"},
		{"", "not a JSON object"},
		{1, "not a JSON object"},
		{[2]held{}, "not a JSON object"},
		{besideTime{}, "embeds a time.Time"},
	} {
		event := reflect.TypeOf(test.event)
		require.ErrorContains(t, codec.CheckEncode(codec.JSON{}, event), test.text)
		require.ErrorContains(t, codec.CheckDecode(codec.JSON{}, event), test.text)
	}
}

// cached has a tag on a field that is not exported, of which go vet would warn here.
var cached = reflect.New(reflect.StructOf([]reflect.StructField{
	{Name: "ID", Type: reflect.TypeFor[string](), Tag: `json:"id"`},
	{Name: "cache", Type: reflect.TypeFor[string](), Tag: `json:"cache"`, PkgPath: "codec_test"},
})).Elem().Interface()

// reflectTwice has two fields of one name, which go vet would find here.
func reflectTwice() any {
	return reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"a"`}, {Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"a"`},
	})).Elem().Interface()
}

// TestTypesThatWorkOneWay: what can't be read may be published.
func TestTypesThatWorkOneWay(t *testing.T) {
	t.Parallel()
	for text, event := range map[string]any{
		"field S can't be read: nobody knows what codec_test.shape":                  struct{ S shape }{},
		"field unExposed.Text can't be read: unExposed is not exported, and what it": struct{ *unExposed }{},
	} {
		require.ErrorContains(t, codec.CheckDecode(codec.JSON{}, reflect.TypeOf(event)), text)
		require.NoError(t, codec.CheckEncode(codec.JSON{}, reflect.TypeOf(event)))
	}
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{"Text":"a"}`), &struct{ *unExposed }{}), "unExposed")
	require.Equal(t, `{"Text":"a"}`, encode(t, &struct{ *unExposed }{&unExposed{"a"}}))
	require.Equal(t, `{}`, encode(t, &struct{ *unExposed }{}))
	for _, event := range []any{texts{}, list{}} {
		require.ErrorIs(t, codec.CheckEncode(codec.JSON{}, reflect.TypeOf(event)), codec.ErrNotObject)
	}
}

func TestTypesThatWork(t *testing.T) {
	t.Parallel()
	works := []any{
		tree{},
		object{},
		panics{},
		map[string]any{},
		map[int]tree{},
		struct{}{},
		struct{ Name any }{},
		struct {
			embeds1

			Name string
		}{},
		struct {
			unExposed `json:"inner"`
		}{},
	}
	for _, e := range events.Catalogue() {
		works = append(works, e)
	}
	for _, event := range works {
		require.NoError(t, codec.CheckEncode(codec.JSON{}, reflect.TypeOf(event)), "%T", event)
		require.NoError(t, codec.CheckDecode(codec.JSON{}, reflect.TypeOf(event)), "%T", event)
	}
	inner := struct {
		unExposed `json:"inner"`
	}{unExposed{"a"}}
	require.Equal(t, `{"inner":{"Text":"a"}}`, encode(t, &inner))
	require.NoError(t, codec.JSON{}.Decode([]byte(`{"inner":{"Text":"b"},"inner":{}}`), &inner))
	require.Empty(t, inner.Text)
}

// TestFaultsAreErrors: nothing of a type that can't work is written or read silently.
func TestFaultsAreErrors(t *testing.T) {
	t.Parallel()
	for _, event := range []any{reflect.New(reflect.TypeOf(cached)).Interface(), &held{}, &struct{ Any any }{cached}, &map[string]any{"a": func() {}}} {
		_, err := codec.JSON{}.Encode(event)
		require.Error(t, err, "%T", event)
	}
	require.ErrorContains(t, codec.JSON{}.Decode([]byte(`{}`), reflect.New(reflect.TypeOf(cached)).Interface()), "field cache has the tag")
	require.Error(t, codec.JSON{}.Decode([]byte(`{"call":1}`), &held{}))
}

func TestNoType(t *testing.T) {
	t.Parallel()
	require.EqualError(t, codec.CheckEncode(codec.JSON{}, nil), "the type is nil")
	require.EqualError(t, codec.CheckDecode(codec.JSON{}, nil), "the type is nil")
}

// TestOtherCodecsAreNotChecked: they have a way of their own, those that embed JSON too.
func TestOtherCodecsAreNotChecked(t *testing.T) {
	t.Parallel()
	type own struct{ codec.JSON }
	require.NoError(t, codec.CheckEncode(own{}, reflect.TypeFor[held]()))
	require.NoError(t, codec.CheckDecode(own{}, reflect.TypeFor[held]()))
}

func ExampleCheckEncode() {
	type event struct {
		ID    string   `json:"id"`
		Ready chan int `json:"ready"`
	}
	fmt.Println(codec.CheckEncode(codec.JSON{}, reflect.TypeFor[event]()))
	// Output: field Ready is a chan int, which JSON can't hold; leave it out with the tag `json:"-"`
}
