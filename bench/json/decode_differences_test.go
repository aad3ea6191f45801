package jsonbench

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

// A decodeDifference is a payload on which the two may disagree, and why.
type decodeDifference struct {
	why      string
	applies  func(data []byte) bool
	example  string
	goneInV2 bool // not where encoding/json is made of encoding/json/v2
}

var decodeDifferences = []decodeDifference{
	{
		why:     "raw invalid UTF-8: refused by the wire, U+FFFD in encoding/json",
		applies: func(data []byte) bool { return errors.Is(CheckPayload(data), ErrInvalidUTF8) },
		example: "{\"id\":\"\xff\"}",
	},
	{
		why:     "null at the top: refused by the wire, a zero event in encoding/json",
		applies: func(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" },
		example: `null`,
	},
	{
		why:     "a name in another case: unknown to the wire, known to encoding/json",
		applies: func(data []byte) bool { return hasMember(data, isInAnotherCase) },
		example: `{"ID":"x"}`,
	},
	{
		why:     "a name twice, null the second time: the zero value here, the first value in encoding/json",
		applies: func(data []byte) bool { return hasMember(data, isDuplicate) },
		example: `{"id":"a","id":null}`,
	},
	{
		why: "a time with an escape in it: unescaped here, refused by encoding/json of this Go version",
		applies: func(data []byte) bool {
			return bytes.Contains(data, []byte(`\`)) && hasMember(data, isTime)
		},
		example:  `{"expiresAt":"2022-11-25T06:50:25\u002e380Z"}`,
		goneInV2: true,
	},
	{
		why:     "a time that is nearly RFC 3339 (hour of one digit, comma, offset of 24 hours): refused here",
		applies: func(data []byte) bool { return hasMember(data, isLooseTime) },
		example: `{"expiresAt":"2022-11-25T6:50:25Z"}`,
	},
}

func explained(data []byte) bool {
	for _, difference := range decodeDifferences {
		if difference.applies(data) {
			return true
		}
	}
	return false
}

// knownNames are the names of the two shapes' fields.
var knownNames = []string{
	"id", "version", "title", "price", "userId", "orderId", "status", "expiresAt", "ticket",
}

func isInAnotherCase(m member) bool {
	for _, known := range knownNames {
		if m.name != known && strings.EqualFold(m.name, known) {
			return true
		}
	}
	return false
}

func isDuplicate(m member) bool { return m.duplicate }

func isTime(m member) bool { return strings.EqualFold(m.name, "expiresAt") }

func isLooseTime(m member) bool {
	text, isString := m.value.(string)
	return isTime(m) && isString && !strictTime.MatchString(text)
}

// strictTime is a time as RFC 3339 has it.
var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// TestDecodeDifferencesAreReal keeps the list honest: the two do disagree on
// each entry's example.
func TestDecodeDifferencesAreReal(t *testing.T) {
	chosen, std := ExperimentCodec(), Std()
	for _, difference := range decodeDifferences {
		data := []byte(difference.example)
		if !difference.applies(data) {
			t.Errorf("%q is not an example of: %s", data, difference.why)
		}
		var got, want OrderCreated
		gotErr, wantErr := chosen.Decode(data, &got), std.Decode(data, &want)
		agree := (gotErr == nil) == (wantErr == nil) && sameEvent(got, want)
		if gone := stdIsV2 && difference.goneInV2; agree != gone {
			t.Errorf("agree %v, not %v, on %q: %s", agree, gone, data, difference.why)
		}
	}
}
