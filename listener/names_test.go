package listener_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
)

// TestGroupsOfAnyName are joined, and their dead letters stand under the escaped name and hold
// the name as it is.
func TestGroupsOfAnyName(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		s.publish("a")
		durable := []listener.Option{listener.DurableName("durable")}
		for name, opts := range map[string][]listener.Option{
			"Payments Service": nil, "payments/service": nil, "zahlungen ü": nil, "*": nil, "a.>": nil, "a..b": nil, "_begun": nil, "line\nbreak": nil,
			"payments:service": durable, "a:b": {listener.Ephemeral()}, "d": {listener.DurableName("durable name/2")},
		} {
			l, err := listener.New(s.client, name, func(_ context.Context, _ expiration, d listener.Delivery) error {
				require.Equal(s, name, d.Group)
				return listener.Reject(errors.New("no"))
			}, opts...)
			require.NoError(s, err, name)
			ctx, stop := context.WithCancel(s.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Listen(ctx) }()
			synctest.Wait()
			letters := s.broker.Stored("dead." + events.EscapeGroup(name) + ".expiration:complete")
			require.Len(s, letters, 1, name)
			letter := decodeDeadLetter(s, letters[0].Data)
			require.NoError(s, letter.Validate())
			require.Equal(s, name, letter.Group)
			stop()
			require.NoError(s, <-ended)
		}
		require.Contains(s, s.broker.Subjects(), "dead.Payments%20Service.expiration:complete")
		require.Contains(s, s.broker.Subjects(), "dead.payments:service.expiration:complete")
		s.close()
	})
}

// TestColonsInNames: where the NATS Streaming server takes none, they are refused over every
// broker.
func TestColonsInNames(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		for _, test := range []struct {
			group string
			opts  []listener.Option
			text  string // empty: no error
		}{
			{"a:b", nil, `queue group "a:b": it holds a ':', and is the durable's name, too, where the NATS Streaming server allows none; use DurableName`},
			{"a:b", []listener.Option{listener.DurableName("c:d")}, `option DurableName "c:d": it holds a ':'`},
			{"a", []listener.Option{listener.DurableName("c:d")}, `option DurableName "c:d": it holds a ':'`},
			{"a:b", []listener.Option{listener.DurableName("d")}, ""},
			{"a:b", []listener.Option{listener.Ephemeral()}, ""},
			{"", []listener.Option{listener.DurableName("c:d")}, ""},
		} {
			_, err := listener.New(s.client, test.group, handleNothing[expiration], test.opts...)
			if test.text == "" {
				require.NoError(s, err)
				continue
			}
			require.ErrorIs(s, err, client.ErrInvalid)
			require.ErrorContains(s, err, test.text)
		}
		s.close()
	})
}

// TestLongNames: what is too long for the subject of dead letters says so, and can be joined
// without them.
func TestLongNames(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	long := strings.Repeat("group name ", 30)
	_, err := listener.New(c, long, handleNothing[expiration])
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "subject of the dead letters, which is made of the queue group's name and the event's subject; shorten either, or use NoDeadLetters")
	_, err = listener.New(c, long, handleNothing[expiration], listener.NoDeadLetters())
	require.NoError(t, err)
}

// TestSwappedNames: what would listen to something that is not there says so.
func TestSwappedNames(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	payload := func(context.Context, []byte, listener.Delivery) error { return nil }
	_, err := listener.NewRaw(c, "payments", "order:created", payload, listener.DurableName("d"))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `queue group "order:created" and subject "payments": they look swapped, since "order:created" is an event's subject`)
	_, err = listener.NewRaw(c, "order:created", "ticket:created", payload, listener.DurableName("d"))
	require.NoError(t, err, "both are events: it may be meant")

	_, err = listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "order:created", Subject: "payments"}, handleNothing)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `group of the dead letters "order:created" and subject "payments": they look swapped`)
}
