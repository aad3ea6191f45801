package jsonbench

import (
	"fmt"
	"math"
	"time"
)

// encodeRules are those of publishing: to the byte what JSON.stringify gives.
var encodeRules = []rule{
	{
		name:  "`<` `>` `&` not escaped",
		check: encodesTitle("<b>&", `<b>&`),
	},
	{
		name:   "U+2028, U+2029 not escaped",
		check:  encodesTitle("a\u2028b\u2029c", "a\u2028b\u2029c"),
		broken: []string{"std", "segmentio"},
	},
	{
		name:   "short escapes, `\\b` and `\\f` among them",
		check:  encodesTitle("\b\f\n\r\t\"\\", `\b\f\n\r\t\"\\`),
		broken: []string{"sonic"},
	},
	{
		name: "other control characters `\\u00xx`, lower case",
		check: encodesTitle("\x00\x01\x07\x0b\x0e\x1a\x1f\x7f",
			`\u0000\u0001\u0007\u000b\u000e\u001a\u001f`+"\x7f"),
	},
	{
		name:  "`/`, é, 漢, 😀, U+FEFF, U+FFFD as they are",
		check: encodesTitle("/é漢😀\ufeff\ufffd", "/é漢😀\ufeff\ufffd"),
	},
	{
		name: "numbers as JavaScript writes them",
		check: encodesPrices(map[float64]string{
			0:                       "0",
			0.1:                     "0.1",
			4.35:                    "4.35",
			1e20:                    "100000000000000000000",
			1e21:                    "1e+21",
			1.5e300:                 "1.5e+300",
			0.000001:                "0.000001",
			1e-7:                    "1e-7",
			1.25e-10:                "1.25e-10",
			0.30000000000000004:     "0.30000000000000004",
			math.MaxFloat64:         "1.7976931348623157e+308",
			5e-324:                  "5e-324",
			1 << 53:                 "9007199254740992",
			123456789012345680000.0: "123456789012345680000",
		}),
	},
	{
		name:    "-0 as `0`",
		check:   encodesPrices(map[float64]string{math.Copysign(0, -1): "0"}),
		guarded: []string{"std", "experiment", "segmentio", "goccy", "sonic"},
	},
	{
		name:  "NaN and infinities refused",
		check: refusesPrices(math.NaN(), math.Inf(1), math.Inf(-1)),
	},
	{
		name:  "int64 in full",
		check: encodesFullIntegers,
	},
	{
		name:    "invalid UTF-8 refused on encoding",
		check:   refusesTitles("\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"),
		guarded: []string{"goccy", "sonic"},
		broken:  []string{"std", "segmentio"},
	},
	{
		name:  "empty optional field left out",
		check: leavesOut,
	},
	{
		name:   "`time.Time` as toISOString",
		check:  encodesTime,
		broken: []string{"std", "experiment", "segmentio", "goccy", "sonic"},
	},
	{
		name:  "a time type of its own as toISOString",
		check: encodesOwnTime,
	},
}

func encodesTitle(title, want string) func(Contestant) error {
	return func(c Contestant) error {
		return encodes(c, &TicketCreated{Title: title},
			`{"id":"","version":0,"title":"`+want+`","price":0,"userId":""}`)
	}
}

func encodesPrices(wants map[float64]string) func(Contestant) error {
	return func(c Contestant) error {
		for price, want := range wants {
			err := encodes(c, &TicketCreated{Price: price},
				`{"id":"","version":0,"title":"","price":`+want+`,"userId":""}`)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func refusesPrices(prices ...float64) func(Contestant) error {
	return func(c Contestant) error {
		for _, price := range prices {
			if err := refusesToEncode(c, &TicketCreated{Price: price}); err != nil {
				return err
			}
		}
		return nil
	}
}

func refusesTitles(titles ...string) func(Contestant) error {
	return func(c Contestant) error {
		for _, title := range titles {
			if err := refusesToEncode(c, &TicketCreated{Title: title}); err != nil {
				return err
			}
		}
		return nil
	}
}

func encodesFullIntegers(c Contestant) error {
	for _, version := range []int64{math.MinInt64, -1, 1<<53 - 1, 1<<53 + 1, math.MaxInt64} {
		err := encodes(c, &TicketCreated{Version: version},
			fmt.Sprintf(`{"id":"","version":%d,"title":"","price":0,"userId":""}`, version))
		if err != nil {
			return err
		}
	}
	return nil
}

func leavesOut(c Contestant) error {
	return encodes(c, &TicketUpdated{}, `{"id":"","version":0,"title":"","price":0,"userId":""}`)
}

// isoTimes need padding, cutting to the millisecond and another zone's offset.
var isoTimes = map[string]time.Time{
	"2026-01-02T03:04:05.000Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	"2026-01-02T03:04:05.500Z": time.Date(2026, 1, 2, 3, 4, 5, 500000000, time.UTC),
	"2026-01-02T03:04:05.999Z": time.Date(2026, 1, 2, 3, 4, 5, 999999999, time.UTC),
	"1969-12-31T23:59:59.999Z": time.Date(1970, 1, 1, 0, 59, 59, 999999999, time.FixedZone("", 3600)),
	"0000-01-01T00:00:00.000Z": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
}

func encodesTime(c Contestant) error {
	return encodesTimes(c, func(t time.Time) any { return &OrderCreated{ExpiresAt: t} })
}

func encodesOwnTime(c Contestant) error {
	return encodesTimes(c, func(t time.Time) any { return &OrderCreatedJS{ExpiresAt: JSTime{t}} })
}

func encodesTimes(c Contestant, event func(time.Time) any) error {
	for want, at := range isoTimes {
		err := encodes(c, event(at),
			`{"id":"","version":0,"status":"","userId":"","expiresAt":"`+want+`","ticket":{"id":"","price":0}}`)
		if err != nil {
			return err
		}
	}
	return refusesToEncode(c, event(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// encodes checks both forms of encoding, and that Append keeps what was there.
func encodes(c Contestant, event any, want string) error {
	got, err := c.Encode(event)
	if err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	if string(got) != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	appended, err := c.Append([]byte("kept"), event)
	if err != nil {
		return fmt.Errorf("append refused: %w", err)
	}
	if string(appended) != "kept"+want {
		return fmt.Errorf("append got %q, want %q", appended, "kept"+want)
	}
	return nil
}

func refusesToEncode(c Contestant, event any) error {
	if got, err := c.Encode(event); err == nil {
		return fmt.Errorf("encoded to %q", got)
	}
	if got, err := c.Append(nil, event); err == nil {
		return fmt.Errorf("appended as %q", got)
	}
	return nil
}
