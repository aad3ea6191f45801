package listener_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/listener"
)

// TestWarnings: of a handler that uses up its ack wait where that can't be
// extended, of one that does not heed its context, of more than can begin in time.
func TestWarnings(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		const used, deaf, crowd = "handler has used 80 % of the ack wait", "handler goes on after its HandlerTimeout", "more events wait here than can begin within the ack wait"
		streaming := !access.Session(s.client).Conn.Features().InProgress
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			d, err := time.ParseDuration(e.OrderID)
			time.Sleep(d)
			return err
		}, listener.HandlerTimeout(2*time.Second))
		s.publish("2500ms")
		time.Sleep(10 * time.Second)
		require.NotContains(s, s.log.String(), used)
		require.NotContains(s, s.log.String(), deaf)
		s.publish("4500ms")
		time.Sleep(3100 * time.Millisecond)
		require.Contains(s, s.log.String(), deaf)
		require.NotContains(s, s.log.String(), used)
		time.Sleep(time.Second)
		if streaming {
			require.Contains(s, s.log.String(), used)
			require.Contains(s, s.log.String(), "sequence=2")
		} else {
			require.NotContains(s, s.log.String(), used)
		}
		time.Sleep(10 * time.Second)
		require.NotContains(s, s.log.String(), crowd)
		s.publish("1500ms", "1500ms", "1500ms", "1500ms", "4500ms", "1s", "1s", "1s", "1s")
		time.Sleep(time.Minute)
		require.Equal(s, streaming, strings.Contains(s.log.String(), crowd))
		stop()
		s.close()
	})
}

// TestSettingsThatDoNotFit are refused, or warned of when the listener begins.
func TestSettingsThatDoNotFit(t *testing.T) {
	t.Parallel()
	h := func(context.Context, expiration, listener.Delivery) error { return nil }
	onBoth(t, func(s *bed) {
		streaming := !access.Session(s.client).Conn.Features().InProgress
		_, err := listener.New(s.client, "g", h, listener.HandlerTimeout(5*time.Second))
		if streaming {
			require.ErrorIs(s, err, client.ErrInvalid)
			require.ErrorContains(s, err, "option HandlerTimeout: 5s is not less than AckWait 5s")
		} else {
			require.NoError(s, err)
		}
		for text, opts := range map[string][]listener.Option{
			"option MaxAttempts: 0; must be at least 1": {listener.MaxAttempts(0)},
			"option Backoff: first 0s, limit 1s":        {listener.Backoff(0, time.Second)},
			"option Backoff: first 2s, limit 1s":        {listener.Backoff(2*time.Second, time.Second)},
		} {
			_, err := listener.New(s.client, "g", h, opts...)
			require.ErrorIs(s, err, client.ErrInvalid)
			require.ErrorContains(s, err, text)
		}
		stop := s.listen(h, listener.HandlerTimeout(4450*time.Millisecond))
		stop()
		require.Equal(s, streaming, strings.Contains(s.log.String(), "no attempt after the first fits into the ack wait"))
		s.close()
	})
}
