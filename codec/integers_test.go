package codec_test

import (
	"bytes"
	stdjson "encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
)

type (
	identity int64
	// wide is written the fast way, and wider by the library.
	wide struct {
		ID    identity `json:"id"`
		Count uint64   `json:"count"`
		Text  string   `json:"text"`
		Inner struct {
			Deep int `json:"deep,omitempty"`
		} `json:"inner"`
	}
	wider struct {
		Wide  wide             `json:"wide"`
		List  []wide           `json:"list"`
		Map   map[string]int64 `json:"map"`
		Any   any              `json:"any"`
		Maybe *int64           `json:"maybe"`
	}
	// unread are integers that are their author's.
	unread struct {
		Took   time.Duration      `json:"took"`
		Float  float64            `json:"float"`
		Number stdjson.Number     `json:"number"`
		Raw    stdjson.RawMessage `json:"raw"`
		Itself writesLarge        `json:"itself"`
		Text   int64              `json:"text,string"`
		Keys   map[int64]bool     `json:"keys"`
		Never  int64              `json:"-"`
		Most   int64              `json:"most"`
		Least  int64              `json:"least"`
	}
	writesLarge int64
)

func (writesLarge) MarshalJSON() ([]byte, error) { return []byte("9007199254740993"), nil }

const large = 1<<53 + 1

// TestLargeIntegersAreWarnedOf: once for each field, with what can be done.
func TestLargeIntegersAreWarnedOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event  any
		fields []string
	}{
		"fast way": {&wide{ID: -large, Count: math.MaxUint64}, []string{"wide.ID number=-9007199254740993", "wide.Count number=18446744073709551615"}},
		"library": {
			&wider{Wide: wide{ID: large}, List: []wide{{ID: large, Count: large}}, Map: map[string]int64{"a": large}, Any: []any{int(large)}, Maybe: new(int64(large))},
			[]string{"wide.ID", "wide.Count", "wider.Map", "wider.Any", "wider.Maybe"},
		},
		"map": {&map[string]int{"a": large}, []string{"map[string]int"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			c := codec.WithLogger(codec.JSON{}, slog.New(slog.NewTextHandler(&log, nil)))
			for range 3 {
				data, err := c.Encode(test.event)
				require.NoError(t, err)
				require.Contains(t, string(data), "9007199254740993")
				appended, err := c.(codec.Appender).AppendEncode([]byte("-"), test.event)
				require.NoError(t, err)
				require.Equal(t, "-"+string(data), string(appended))
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			require.Len(t, lines, len(test.fields), "%s", log.String())
			for _, field := range test.fields {
				require.Equal(t, 1, strings.Count(log.String(), "field=codec_test."+field)+strings.Count(log.String(), "field="+field), "%s in %s", field, log.String())
			}
			for _, line := range lines {
				require.Contains(t, line, "level=WARN")
				require.Contains(t, line, "option string")
			}
		})
	}
}

// TestLargeIntegersAreRefused by a setting, with the field's name.
func TestLargeIntegersAreRefused(t *testing.T) {
	t.Parallel()
	c := codec.JSON{LargeIntegers: codec.RefuseLargeIntegers}
	for field, event := range map[string]any{
		"wide.ID": &wide{ID: large}, "wide.Count": &wide{Count: large}, "wide.Inner": func() any { w := new(wide); w.Inner.Deep = -large; return w }(),
		"wider.Any": &wider{Any: map[string]any{"a": int64(large)}}, "wider.Map": &wider{Map: map[string]int64{"a": large}},
	} {
		_, err := c.Encode(event)
		require.ErrorIs(t, err, codec.ErrLargeInteger, field)
		require.ErrorContains(t, err, "9007199254740993")
		require.ErrorContains(t, err, "option string")
		data, err := c.AppendEncode([]byte("kept"), event)
		require.ErrorIs(t, err, codec.ErrLargeInteger)
		require.Equal(t, "kept", string(data))
		if field != "wide.Inner" {
			require.ErrorContains(t, err, field)
		}
	}
	for _, event := range []any{&wide{ID: 1<<53 - 1, Count: 1<<53 - 1}, &wide{ID: -1<<53 + 1}, &wider{Any: 1e300}, &map[string]any{"a": nil}} {
		_, err := c.Encode(event)
		require.NoError(t, err)
	}
}

// TestIntegersOfTheirAuthor: who writes these knows what is read.
func TestIntegersOfTheirAuthor(t *testing.T) {
	t.Parallel()
	c := codec.JSON{LargeIntegers: codec.RefuseLargeIntegers}
	data, err := c.Encode(&unread{
		Took: math.MaxInt64, Float: 1e300, Number: "9007199254740993", Raw: []byte("9007199254740993"), Text: large, Keys: map[int64]bool{large: true},
		Never: large, Most: 1<<53 - 1, Least: -1<<53 + 1,
	})
	require.NoError(t, err)
	require.Contains(t, string(data), `"text":"9007199254740993"`)
}

// TestWithLogger: a codec that embeds JSON stays what it is.
func TestWithLogger(t *testing.T) {
	t.Parallel()
	type own struct{ codec.JSON }
	log := slog.New(slog.DiscardHandler)
	require.Equal(t, own{}, codec.WithLogger(own{}, log))
	require.Equal(t, codec.JSON{}, codec.WithLogger(codec.JSON{}, nil))
	require.NotEqual(t, codec.JSON{}, codec.WithLogger(codec.JSON{}, log))
	refuses, _ := codec.WithLogger(codec.JSON{LargeIntegers: codec.RefuseLargeIntegers}, log).(codec.JSON)
	require.Equal(t, codec.RefuseLargeIntegers, refuses.LargeIntegers)
}
