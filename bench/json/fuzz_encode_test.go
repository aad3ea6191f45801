package jsonbench

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzEncodeDifferential encodes the same event with the chosen contestant and
// with encoding/json. The bytes have to be equal, apart from the differences
// that expectedBytes takes out.
func FuzzEncodeDifferential(f *testing.F) {
	f.Add("t1", int64(0), "a\"\\/<>&\b\f\n\u2028é漢😀", 20.5, "u", int64(1669359025380), uint32(0))
	f.Add("", int64(1<<53-1), `\u2028 \\u2029`, 1e21, "\xff", int64(-1), uint32(999999))
	f.Add("-0", int64(-1), `:-0,`, -1e-7, "\ufffd", int64(1)<<50, uint32(1))
	chosen, std := ExperimentCodec(), Std()
	f.Fuzz(func(t *testing.T, id string, version int64, title string, price float64, user string, milli int64, nanos uint32) {
		at := time.UnixMilli(milli).Add(time.Duration(nanos))
		compareEncoding(t, chosen, std,
			&TicketUpdated{id, version, title, price, user, title},
			&TicketUpdated{id, version, title, withoutSign(price), user, title},
			id, title, user)
		compareEncoding(t, chosen, std,
			&OrderCreated{id, version, OrderStatus(title), user, at, OrderTicket{id, price}},
			&OrderCreatedJS{id, version, OrderStatus(title), user, JSTime{at}, OrderTicket{id, withoutSign(price)}},
			id, title, user)
	})
}

// withoutSign takes the first difference out: JavaScript writes -0 as 0.
func withoutSign(price float64) float64 {
	if price == 0 {
		return 0
	}
	return price
}

func compareEncoding(t *testing.T, chosen, std Contestant, event, stdEvent any, texts ...string) {
	t.Helper()
	got, gotErr := chosen.Encode(event)
	want, wantErr := std.Encode(stdEvent)
	if refused := wantErr != nil || !allValid(texts); refused != (gotErr != nil) {
		t.Fatalf("%+v: %s %q, %v; %s %q, %v", event, chosen.Name, got, gotErr, std.Name, want, wantErr)
	}
	if gotErr != nil {
		return
	}
	if want = expectedBytes(want); !bytes.Equal(got, want) {
		t.Errorf("%+v:\n%s %q\n%s %q", event, chosen.Name, got, std.Name, want)
	}
	appended, err := chosen.Append([]byte("kept"), event)
	if err != nil || string(appended) != "kept"+string(got) {
		t.Errorf("%+v: appended %q, %v; encoded %q", event, appended, err, got)
	}
}

// allValid is the second difference: encoding/json writes invalid UTF-8 as an
// escaped U+FFFD.
func allValid(texts []string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

// expectedBytes takes the third difference out of what encoding/json wrote: it
// escapes U+2028 and U+2029 always.
func expectedBytes(std []byte) []byte {
	var out []byte
	for i := 0; i < len(std); i++ {
		switch rest := std[i:]; {
		case bytes.HasPrefix(rest, []byte(`\u2028`)):
			out = append(out, "\u2028"...)
			i += len(`\u2028`) - 1
		case bytes.HasPrefix(rest, []byte(`\u2029`)):
			out = append(out, "\u2029"...)
			i += len(`\u2029`) - 1
		case rest[0] == '\\':
			// An escape of two characters, or the beginning of another \u: the
			// character after the backslash begins no escape.
			out = append(out, rest[:2]...)
			i++
		default:
			out = append(out, rest[0])
		}
	}
	return out
}
