package client_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// TestSubjects: the transport is told what the broker is to store.
func TestSubjects(t *testing.T) {
	t.Parallel()
	platform := make([]string, 0, len(subjects.All())+1)
	for _, s := range subjects.All() {
		platform = append(platform, string(s))
	}
	for name, tc := range map[string]struct {
		opts []client.Option
		want []string
	}{
		"dead letters alone by default": {nil, []string{"dead.>"}},
		"the platform's":                {[]client.Option{client.Subjects(subjects.All()...)}, append(platform, "dead.>")},
		"a team's own": {
			[]client.Option{client.Subjects("seat:assigned", "seating.*.>"), client.Subjects("hall")},
			[]string{"seat:assigned", "seating.*.>", "hall", "dead.>"},
		},
		"none": {[]client.Option{client.Subjects()}, []string{"dead.>"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got transport.Config
			conn := (&fakeconn.Conn{}).Dialer()
			dial := client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
				got = cfg
				return conn(ctx, cfg)
			})
			c, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", append(tc.opts, quiet(), dial)...)
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Subjects)
			require.Equal(t, "dead.>", got.DeadLetters)
			require.NoError(t, c.Close(t.Context()))
		})
	}
	for _, wrong := range []subjects.Subject{"", "a b", "a..b", ">.a", "a/b", ">", "*.>", "$JS.x", "$SYS.>", "_INBOX.>", "_INBOX"} {
		_, err := client.Build(t.Context(), "ticketing", "orders-1", "nats://x", quiet(), client.Subjects(wrong))
		require.ErrorIs(t, err, client.ErrInvalid, wrong)
		require.ErrorContains(t, err, "option Subjects")
	}
}
