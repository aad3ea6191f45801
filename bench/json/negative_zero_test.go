package jsonbench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFixNegativeZero(t *testing.T) {
	for text, want := range map[string]string{
		`-0`:                           `0`,
		`{"a":-0}`:                     `{"a":0}`,
		`[-0,-0,-0]`:                   `[0,0,0]`,
		`{"a":-0,"b":":-0,","c":-0}`:   `{"a":0,"b":":-0,","c":0}`,
		`{"a":"\":-0,\"","b":[-0]}`:    `{"a":"\":-0,\"","b":[0]}`,
		`{"a":"\\","b":-0}`:            `{"a":"\\","b":0}`,
		`{":-0":-0.5,"b":-0e1,"c":-1}`: `{":-0":-0.5,"b":-0e1,"c":-1}`,
		`{"id":"x-0-0b","n":1e-07}`:    `{"id":"x-0-0b","n":1e-07}`,
		``:                             ``,
	} {
		if got := string(FixNegativeZero([]byte(text))); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// TestFixNegativeZeroIsLinear would take minutes if each -0 within a string
// started over from the beginning.
func TestFixNegativeZeroIsLinear(t *testing.T) {
	text, err := json.Marshal(strings.Repeat(":-0,", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if got := FixNegativeZero(bytes.Clone(text)); !bytes.Equal(got, text) {
		t.Error("a string was changed")
	}
}
