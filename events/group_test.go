package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
)

// TestEscapeGroup: what a subject can hold stays as it is, to the byte.
func TestEscapeGroup(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{
		"payments", "payments-service", "payments:service", "payments_service", "a.b", "a.b.c", "Ünï", "支付", "50%off", "100%", "%zz", "%%", "begun", "_begun2", "_x", "a._begun",
		"$SYS", `a\b`, `"a"`,
	} {
		require.Equal(t, plain, events.EscapeGroup(plain))
		require.Equal(t, plain, events.UnescapeGroup(plain))
	}
	for name, escaped := range map[string]string{
		"Payments Service": "Payments%20Service", "payments/service": "payments%2Fservice",
		"*": "%2A", ">": "%3E", "a.*": "a.%2A", "a.>": "a.%3E", "\t\r\n\x00": "%09%0D%0A%00", "\u00a0\u2028": "%C2%A0%E2%80%A8",
		".": "%2E", "..": "%2E%2E", ".a": "%2Ea", "a.": "a%2E", "a..b": "a.%2Eb", "a...b": "a.%2E%2Eb",
		"a%20b": "a%2520b", "%2f": "%252f", "%25": "%2525", "%%41": "%%2541",
		"_begun": "%5Fbegun", "_begun.a": "%5Fbegun.a", "_begun.": "%5Fbegun%2E", "_begun..a": "%5Fbegun.%2Ea",
		"a\xffb": "a%FFb", "\ufffd": "\ufffd",
	} {
		require.Equal(t, escaped, events.EscapeGroup(name))
		require.Equal(t, name, events.UnescapeGroup(escaped))
	}
	require.Empty(t, events.EscapeGroup(""))
}

// FuzzEscapeGroup: no two groups have one dead-letter subject, and each is the subject of the
// broker's rules, though none that is reserved.
func FuzzEscapeGroup(f *testing.F) {
	for _, name := range []string{"a b", "a%20b", "a%2520b", "_begun", "_begun.x", "%5Fbegun", "a..b", ".", "/", "%", "%2", "% 20", "\xff", "a.", "50%off", "%%41"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		escaped := events.EscapeGroup(name)
		require.Equal(t, name, events.UnescapeGroup(escaped), "so that no two names are escaped alike")
		if name == "" || len(escaped) > 200 {
			return
		}
		subject := events.DeadLetterSubject(name, subjects.OrderCreated)
		require.NoError(t, subjects.Valid(string(subject)))
		require.False(t, strings.HasPrefix(string(subject), "dead._begun."))
		if subjects.Valid(name) == nil && name == escaped {
			require.Equal(t, "dead."+name+".order:created", string(subject))
		}
		if events.ValidGroup(name) != nil {
			return
		}
		d := events.NewDeadLetter(events.DeadLetter{
			Original: subjects.OrderCreated, Group: name, Sequence: 1, Timestamp: time.Unix(1, 1), FailedAt: time.Unix(1, 0), Reason: events.DeadLetterInvalid,
		})
		var read events.DeadLetter
		require.NoError(t, codec.JSON{}.Decode([]byte(encoded(t, d)), &read))
		require.NoError(t, read.Validate())
		require.Equal(t, name, read.Group, "a dead letter holds the name as it is")
	})
}
