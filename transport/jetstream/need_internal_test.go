package jetstream

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNeeds(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]need{
		"$JS.ACK.s.c.1.2.3.4.5":           {needAcks, "c", "s"},
		"$JS.ACK.hub.ACC.s.c.1.2.3.4.5":   {needAcks, "c", "s"},
		"$JS.ACK.hub.ACC.s.c.1.2.3.4.5.x": {needAcks, "c", "s"},
		"$JS.API.CONSUMER.MSG.NEXT.s.c":   {needPulls, "c", "s"},
	} {
		n, ok := needOf(subject, "$JS.API.")
		require.True(t, ok, subject)
		require.Equal(t, want, n, subject)
	}
	for _, subject := range []string{"$JS.ACK.s.c", "$JS.API.CONSUMER.MSG.NEXT.s", "$JS.API.STREAM.INFO.s", "ticket:created"} {
		_, ok := needOf(subject, "$JS.API.")
		require.False(t, ok, subject)
	}
	require.Equal(t, "$JS.ACK.s.c.1.0.3.4.5", harmlessAck("$JS.ACK.s.c.1.2.3.4.5"))
	require.Equal(t, "$JS.ACK.hub.ACC.s.c.1.0.3.4.5.x", harmlessAck("$JS.ACK.hub.ACC.s.c.1.2.3.4.5.x"))
	require.Equal(t, "$JS.ACK.>", need{kind: needAcks}.Grant("$JS.ACK.s.c.1.2.3.4.5"))
	require.Equal(t, "_INBOX.>", need{kind: needInboxes}.Grant("_INBOX.x.y"))
}
