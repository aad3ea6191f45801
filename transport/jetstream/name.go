package jetstream

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxName is the server's limit on the length of names (JSMaxNameLen).
const maxName = 255

// ConsumerName returns the name of a queue group's consumer for a subject.
//
// It is subject__group, and subject__group__durable where the durable has a name
// other than the group's. What is not a letter, a digit, '-' or ':' is written as
// _ and two hexadecimal digits for each byte, so that no two pairs have the same
// name: a dot is _2E, an underscore _5F. A name longer than the server's 255
// bytes ends in a hash of the whole instead.
//
// With option [BindOnly] operators make the consumers. That of deadletter.Redrive is
// ConsumerName("dead.<group>.<subject>", "redrive", ""). A listener with a group and without a
// durable ([listener.Ephemeral]) reads from subject__group__, one without a group from
// subject____durable__client, and one without both from subject______client, where client is the
// client ID: give the client one of its own then.
//
// [listener.Ephemeral]: https://pkg.go.dev/github.com/sgtickets/common/listener#Ephemeral
func ConsumerName(subject, group, durable string) string {
	if durable == "" || durable == group {
		return join(subject, group)
	}
	return join(subject, group, durable)
}

// join makes a name from parts. An escaped part holds no two underscores in a
// row, and does not end in one, so that the parts can be told from the name.
func join(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = escape(p)
	}
	name := strings.Join(escaped, "__")
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "__" + hex.EncodeToString(sum[:16])
	return name[:maxName-len(hash)] + hash
}

func escape(part string) string {
	var b strings.Builder
	for i := range len(part) {
		switch c := part[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == ':':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String()
}
