package events

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reserved is what no group's part of a dead-letter subject begins with: the library keeps
// notes of its own under it. A group of that name is escaped.
const reserved = "_begun"

// ValidGroup returns nil if name can be the name of a queue group or a durable, and an error
// that says why not otherwise. The broker takes any text, spaces and slashes included; a dead
// letter, which is JSON, holds only text that is UTF-8.
func ValidGroup(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not UTF-8", clip(name, maxShortText))
	}
	return nil
}

// EscapeGroup returns the queue group's name as it stands in the subjects and in the IDs of
// its dead letters; see [DeadLetterSubject]. A name that can be part of a subject stays as it
// is. In others each byte of what a subject can't hold is written as % and two hexadecimal
// digits: white space, control characters, '/', '*' and '>', and a dot that begins or ends the
// name or follows another dot. So "Payments Service" becomes "Payments%20Service". A % that is
// followed by two hexadecimal digits becomes %25, so that no two names are escaped alike, and
// [UnescapeGroup] returns the name. The '_' of a name whose first token is "_begun", which the
// library keeps for itself, becomes %5F.
func EscapeGroup(group string) string {
	var b strings.Builder
	if first, _, _ := strings.Cut(group, "."); first == reserved {
		escapeBytes(&b, group[:1])
		group = group[1:]
	}
	previous := byte('.')
	if b.Len() > 0 {
		previous = 0
	}
	for rest := group; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		char := rest[:size]
		rest = rest[size:]
		if mustEscape(r, size, previous, rest) {
			escapeBytes(&b, char)
		} else {
			b.WriteString(char)
		}
		previous = char[size-1]
	}
	return b.String()
}

// mustEscape reports whether EscapeGroup escapes a character that stands between previous and
// rest.
func mustEscape(r rune, size int, previous byte, rest string) bool {
	switch {
	case r == '.':
		return previous == '.' || rest == ""
	case r == '%':
		return len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1])
	case r == utf8.RuneError && size == 1: // not UTF-8
		return true
	default:
		return r == '/' || r == '*' || r == '>' || unicode.IsSpace(r) || unicode.IsControl(r)
	}
}

func escapeBytes(b *strings.Builder, text string) {
	for i := range len(text) {
		fmt.Fprintf(b, "%%%02X", text[i])
	}
}

// UnescapeGroup returns the name of which [EscapeGroup] made escaped.
func UnescapeGroup(escaped string) string {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if rest := escaped[i+1:]; escaped[i] == '%' && len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]) {
			value, _ := hex.DecodeString(rest[:2])
			b.WriteByte(value[0])
			i += 2
			continue
		}
		b.WriteByte(escaped[i])
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}
