package jsonbench

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// decodeRules are those of listening: tolerant of what a Node service can
// publish, and never a zero event for what is not one.
var decodeRules = []rule{
	{
		name:    "raw invalid UTF-8 refused, in a field that is read",
		check:   refuses("{\"title\":\"\xff\"}", "{\"title\":\"a\xed\xa0\x80\"}", "{\"title\":\"\xc3\"}"),
		guarded: []string{"std", "segmentio", "goccy", "sonic"},
	},
	{
		name:    "raw invalid UTF-8 refused, in a field that is skipped",
		check:   refuses("{\"other\":\"\xff\"}", "{\"\xff\":1}", "{\"other\":{\"x\":[\"\xed\xa0\x80\"]}}"),
		guarded: []string{"std", "segmentio", "goccy", "sonic"},
	},
	{
		name: "escaped lone surrogates read as U+FFFD",
		check: decodesTitles(map[string]string{
			`\ud800`:       "\ufffd",
			`\udc00`:       "\ufffd",
			`\ud800x`:      "\ufffdx",
			`\ud800\ud800`: "\ufffd\ufffd",
			`\udc00\ud800`: "\ufffd\ufffd",
			`\uD83D\uDE00`: "😀",
			`a\ud83d`:      "a\ufffd",
		}),
		broken: []string{"experiment"},
	},
	{
		name: "escapes of every kind read",
		check: decodesTitles(map[string]string{
			`\b\f\n\r\t\"\\\/`:      "\b\f\n\r\t\"\\/",
			`\u0000\u001F\u00e9`:    "\x00\x1fé",
			"\u2028\u2029\ufeff":    "\u2028\u2029\ufeff",
			`\u2028\ufffd` + "\x7f": "\u2028\ufffd\x7f",
		}),
	},
	{
		name:   "names matched exactly, case included",
		check:  decodesTo(`{"ID":"x","Title":"x","userid":"x","title":"y"}`, TicketCreated{Title: "y"}),
		broken: []string{"std", "goccy"},
	},
	{
		name:  "names matched after unescaping",
		check: decodesTo(`{"\u0074itle":"y"}`, TicketCreated{Title: "y"}),
	},
	{
		name: "unknown fields ignored",
		check: decodesTo(`{"a":null,"b":[1,{"title":"no"}],"c":{"title":"no","d":-1.5e-9},"title":"y","e":"\"}"}`,
			TicketCreated{Title: "y"}),
	},
	{
		name:  "null in a field is its zero value",
		check: decodesTo(`{"id":null,"version":null,"title":null,"price":null,"userId":null}`, TicketCreated{}),
	},
	{
		name:    "null at the top refused",
		check:   refuses(`null`, " null\n"),
		guarded: []string{"std", "experiment", "segmentio", "goccy", "sonic"},
	},
	{
		name:  "no object at the top refused",
		check: refuses(``, ` `, `1`, `"x"`, `true`, `[]`, `[{}]`, "\ufeff{}"),
	},
	{
		name:   "duplicate names: the last one counts",
		check:  decodesTo(`{"title":"a","x":1,"x":2,"title":"b"}`, TicketCreated{Title: "b"}),
		broken: []string{"experiment"},
	},
	{
		name:  "trailing garbage refused",
		check: refuses(`{}x`, `{}{}`, `{},`, `{}]`, `{} null`, "{}\x00"),
	},
	{
		name:  "whitespace around tokens read",
		check: decodesTo(" \t\r\n{ \"title\" :\n\"y\" , \"price\" : 1 }\r\n", TicketCreated{Title: "y", Price: 1}),
	},
	{
		name:  "integers: int64 in full",
		check: decodesTo(`{"version":9223372036854775807}`, TicketCreated{Version: math.MaxInt64}),
	},
	{
		name:  "integers: too big, a fraction or an exponent refused",
		check: refuses(`{"version":9223372036854775808}`, `{"version":1.5}`, `{"version":1e2}`, `{"version":1e+21}`),
	},
	{
		name:  "integers: -0 read as 0",
		check: decodesTo(`{"version":-0}`, TicketCreated{}),
	},
	{
		name: "numbers of every form read to the nearest float64",
		check: decodesTo(`{"price":0.30000000000000004,"x":1e999,"y":123456789012345678901234567890}`,
			TicketCreated{Price: 0.30000000000000004}),
	},
	{
		name:  "numbers beyond float64 refused",
		check: refuses(`{"price":1e400}`, `{"price":-1e400}`),
	},
	{
		name:  "wrong types refused",
		check: refuses(`{"id":1}`, `{"version":"1"}`, `{"price":"1"}`, `{"title":{}}`, `{"title":[]}`, `{"title":true}`),
	},
	{
		name:  "strict grammar in a field that is read",
		check: refusesAll(badStrings, "title", badNumbers, "price"),
	},
	{
		name:  "strict grammar in a field that is skipped",
		check: refusesAll(badStrings, "other", badNumbers, "another"),
	},
	{
		name: "strict grammar of objects",
		check: refuses(
			`{`, `{"title"}`, `{"title":}`, `{"title":"y",}`, `{,}`, `{title:"y"}`, `{"title" "y"}`, `{"a":1 "b":2}`, `{'title':"y"}`,
			`{"x":nul}`, `{"x":[1,]}`, `{"x":[1 2]}`, `{"x":{]}`, `{"x":truee}`, `{/**/}`,
		),
	},
	{
		name:  "decoded strings are copies of the payload's bytes",
		check: copiesStrings,
	},
	{
		name: "toISOString read, and other RFC 3339",
		check: decodesOrders(map[string]time.Time{
			"2026-01-02T03:04:05.500Z":      time.Date(2026, 1, 2, 3, 4, 5, 500000000, time.UTC),
			"2026-01-02T03:04:05Z":          time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			"2026-01-02T04:04:05.000+01:00": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}),
	},
}

// Text that is not JSON, as a value.
var (
	badStrings = []string{
		"\"\x00\"", "\"\x1f\"", "\"a\nb\"", "\"a\tb\"", `"\x"`, `"\u12"`, `"\u12g4"`, `"\`, `"`, `'a'`, `"\'"`, `"\ud800\u12"`,
	}
	badNumbers = []string{
		`01`, `-01`, `00`, `+1`, `.5`, `1.`, `1.e1`, `-`, `1e`, `1e+`, `0x1`, `NaN`, `Infinity`, `-Infinity`, `1_000`, `--1`, `1-1`,
	}
)

func refuses(payloads ...string) func(Contestant) error {
	return func(c Contestant) error {
		for _, payload := range payloads {
			var got TicketCreated
			if err := c.Decode([]byte(payload), &got); err == nil {
				return fmt.Errorf("%q decoded to %+v", payload, got)
			}
		}
		return nil
	}
}

// refusesAll puts each bad string and number into a field of the given name,
// last in the object and followed by another field.
func refusesAll(strs []string, stringField string, numbers []string, numberField string) func(Contestant) error {
	var payloads []string
	add := func(field, value string) {
		payloads = append(payloads,
			`{"`+field+`":`+value+`}`,
			`{"`+field+`":`+value+`,"id":"x"}`)
	}
	for _, s := range strs {
		add(stringField, s)
	}
	for _, n := range numbers {
		add(numberField, n)
	}
	return refuses(payloads...)
}

func decodesTo(payload string, want TicketCreated) func(Contestant) error {
	return func(c Contestant) error {
		var got TicketCreated
		if err := c.Decode([]byte(payload), &got); err != nil {
			return fmt.Errorf("%q refused: %w", payload, err)
		}
		if got != want {
			return fmt.Errorf("%q decoded to %+v, want %+v", payload, got, want)
		}
		return nil
	}
}

func decodesTitles(wants map[string]string) func(Contestant) error {
	return func(c Contestant) error {
		for text, want := range wants {
			err := decodesTo(`{"title":"`+text+`"}`, TicketCreated{Title: want})(c)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func decodesOrders(wants map[string]time.Time) func(Contestant) error {
	return func(c Contestant) error {
		for text, want := range wants {
			var got OrderCreated
			if err := c.Decode([]byte(`{"expiresAt":"`+text+`"}`), &got); err != nil {
				return fmt.Errorf("%q refused: %w", text, err)
			}
			if !got.ExpiresAt.Equal(want) {
				return fmt.Errorf("%q decoded to %v", text, got.ExpiresAt)
			}
		}
		return nil
	}
}

// copiesStrings scribbles over the payload after decoding: a transport may
// reuse its buffer.
func copiesStrings(c Contestant) error {
	payload := []byte(`{"id":"` + strings.Repeat("a", 64) + `","title":"b","userId":"c"}`)
	var got TicketCreated
	if err := c.Decode(payload, &got); err != nil {
		return err
	}
	for i := range payload {
		payload[i] = 'X'
	}
	if want := (TicketCreated{ID: strings.Repeat("a", 64), Title: "b", UserID: "c"}); got != want {
		return fmt.Errorf("the event changed with the payload: %+v", got)
	}
	return nil
}
