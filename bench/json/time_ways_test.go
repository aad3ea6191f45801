package jsonbench

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A timeWay is one way to make go-json-experiment write a time as toISOString
// does: a set of options, and order-created events that go with it.
type timeWay struct {
	name   string
	encode func(v any) ([]byte, error)
	orders benchShape
}

// timeWays are all that were measured. The first is the floor, not an answer: it
// writes .38 for .380.
func timeWays() []timeWay {
	hook := json.WithMarshalers(json.MarshalToFunc(writeISO))
	tokenHook := json.WithMarshalers(json.MarshalToFunc(writeISOToken))
	orders := orderShape(asTime)
	ways := []timeWay{
		{"RFC3339Nano", experimentWith("").Encode, orders},
		{"hook-WriteValue", experimentWith("", hook).Encode, orders},
		{"hook-WriteToken", experimentWith("", tokenHook).Encode, orders},
		{"hook-where-needed", encodeByPlan(hook), orders},
		{"own-type-MarshalJSON", experimentWith("").Encode, orderShape(asJSTime)},
		{
			"own-type-MarshalJSONTo", experimentWith("").Encode,
			orderShape(func(t time.Time) toTime { return toTime(t) }),
		},
		{
			"own-type-AppendText", experimentWith("").Encode,
			orderShape(func(t time.Time) textTime { return textTime(t) }),
		},
	}
	return append(ways, formatTagWays(orders)...)
}

// writeISOToken is writeISO by way of a string.
func writeISOToken(enc *jsontext.Encoder, t time.Time) error {
	text, err := AppendISO(nil, t)
	if err != nil {
		return err
	}
	return enc.WriteToken(jsontext.String(string(text)))
}

// toTime writes itself into the encoder.
type toTime time.Time

// MarshalJSONTo implements json.MarshalerTo.
func (t toTime) MarshalJSONTo(enc *jsontext.Encoder) error { return writeISO(enc, time.Time(t)) }

// textTime writes itself as text.
type textTime time.Time

// AppendText implements encoding.TextAppender.
func (t textTime) AppendText(dst []byte) ([]byte, error) { return AppendISO(dst, time.Time(t)) }

// MarshalText implements encoding.TextMarshaler, which TextAppender asks for.
func (t textTime) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// encodeByPlan gives the hook to those types alone that can hold a time.Time.
func encodeByPlan(hook json.Options) func(v any) ([]byte, error) {
	return func(v any) ([]byte, error) {
		if needsTimeHook(v) {
			return json.Marshal(v, hook)
		}
		return json.Marshal(v)
	}
}

// TestTimeWays wants every way but the floor to write the same bytes.
func TestTimeWays(t *testing.T) {
	want, err := ExperimentCodec().Encode(orderShape(asTime).events[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, way := range timeWays() {
		got, err := way.encode(way.orders.events[0])
		if err != nil {
			t.Errorf("%s: %v", way.name, err)
		}
		if isFloor := i == 0; bytes.Equal(got, want) == isFloor {
			t.Errorf("%s: got %s, want %s", way.name, got, want)
		}
	}
}

// BenchmarkTime measures what each way costs an event that has a time, and what
// it costs an event that has none.
func BenchmarkTime(b *testing.B) {
	for _, way := range timeWays() {
		c := Contestant{Name: way.name, Encode: way.encode}
		for _, shape := range []benchShape{way.orders, ticketShapes[0]} {
			b.Run("event="+shape.name+"/way="+way.name, func(b *testing.B) { benchEncode(b, c, shape) })
		}
	}
}
