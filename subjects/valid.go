package subjects

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// ErrInvalid is what [Valid] returns, wrapped, for a name that can't be a subject.
var ErrInvalid = errors.New("invalid subject")

// maxLength is how long the name of a folder may be: the server's file store has
// one for each channel. A name of thousands of bytes would make the NATS server
// cut the connection.
const maxLength = 255

// Valid returns nil if name can be the name of a channel, and otherwise an
// error that wraps [ErrInvalid] and says which rule the name breaks.
//
// The rules are those of the NATS Streaming server (util.IsChannelNameValid of
// nats-streaming-server: not empty, no '/', no wildcards, no empty token
// between dots), and those of the NATS protocol, which ends a subject at white
// space. Names of more than 255 bytes, and names that are not UTF-8 or hold control characters are refused too,
// since Node services could not write them.
func Valid(name string) error {
	if name == "" {
		return fmt.Errorf("%w: the name is empty", ErrInvalid)
	}
	if len(name) > maxLength {
		return fmt.Errorf("%w %q: the name has %d bytes, at most %d are allowed", ErrInvalid, clip(name), len(name), maxLength)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w %q: the name is not UTF-8", ErrInvalid, clip(name))
	}
	previous := '.'
	for _, r := range name {
		switch {
		case r == '.' && previous == '.':
			return fmt.Errorf("%w %q: a token between dots is empty", ErrInvalid, clip(name))
		case r == '*' || r == '>':
			return fmt.Errorf("%w %q: the wildcard %q is not allowed", ErrInvalid, clip(name), r)
		case r == '/' || unicode.IsSpace(r) || unicode.IsControl(r):
			return fmt.Errorf("%w %q: the character %q is not allowed", ErrInvalid, clip(name), r)
		}
		previous = r
	}
	if previous == '.' {
		return fmt.Errorf("%w %q: the name ends with a dot", ErrInvalid, clip(name))
	}
	return nil
}
