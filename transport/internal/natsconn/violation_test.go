package natsconn_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// TestViolations: the server's texts are read, and what is not understood is told as it is.
func TestViolations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]natsconn.Violation{
		`Permissions Violation for Publish to "a.b"`:                           {Subject: "a.b"},
		`Permissions Violation for Publish to "a\"b"`:                          {Subject: `a"b`},
		`Permissions Violation for Subscription to "_INBOX.x"`:                 {Subject: "_INBOX.x", Subscribe: true},
		`Permissions Violation for Subscription to "_INBOX.x" using queue "q"`: {Subject: "_INBOX.x", Subscribe: true},
		`Permissions Violation for Subscription to "_INBOX.x" (sid "7")`:       {Subject: "_INBOX.x", Subscribe: true},
		`Permissions Violation for Publish with Reply of "x"`:                  {},
		`Permissions Violation for Something Else`:                             {},
		`Permissions Violation for Publish to without quotes`:                  {},
	} {
		var got []natsconn.Violation
		var events []transport.Event
		w := natsconn.Watch{Violated: func(v natsconn.Violation) { got = append(got, v) }, Notify: func(e transport.Event) { events = append(events, e) }}
		var o nats.Options
		w.Apply(&o)
		err := fmt.Errorf("%w: %s", nats.ErrPermissionViolation, text)
		o.AsyncErrorCB(nil, nil, err)
		require.Equal(t, err, w.Forbidden())
		if want.Subject == "" {
			require.Empty(t, got, text)
			require.Len(t, events, 1, text)
			continue
		}
		want.Err = err
		require.Equal(t, []natsconn.Violation{want}, got, text)
		require.Empty(t, events, text)
	}
	err := natsconn.Violation{Subject: "a.b", Subscribe: true}.Missing("a.>")
	require.ErrorIs(t, err, transport.ErrForbidden)
	require.EqualError(t, err, `permission missing: the NATS server does not let this user subscribe to "a.b": grant it permission to subscribe to "a.>"`)
}
