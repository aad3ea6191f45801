package natsconn_test

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// TestWatchTellsOrLogs: the receiver of events logs them; without one the transport does.
func TestWatchTellsOrLogs(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		var log bytes.Buffer
		var got []transport.Event
		w := natsconn.Watch{Log: slog.New(slog.NewTextHandler(&log, nil))}
		if told {
			w.Notify = func(e transport.Event) { got = append(got, e) }
		}
		var o nats.Options
		w.Apply(&o)
		o.DisconnectedErrCB(nil, nil) // on purpose
		nc := &nats.Conn{}
		o.DisconnectedErrCB(nc, io.EOF)
		o.ClosedCB(nc)
		o.AsyncErrorCB(nil, &nats.Subscription{Subject: "_INBOX.x"}, nats.ErrSlowConsumer)
		o.AsyncErrorCB(nil, nil, nats.ErrPermissionViolation)
		o.AsyncErrorCB(nil, nil, nats.ErrMaxSubscriptionsExceeded)
		require.ErrorIs(t, w.Forbidden(), nats.ErrPermissionViolation)
		if !told {
			require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("connection to the NATS server lost; reconnecting")))
			require.Contains(t, log.String(), "inbox _INBOX.x: nats: slow consumer")
			require.Contains(t, log.String(), "asynchronous error of the NATS connection")
			continue
		}
		require.Empty(t, log.String())
		kinds := make([]transport.EventKind, 0, len(got))
		for _, e := range got {
			require.WithinDuration(t, time.Now(), e.Time, time.Minute)
			kinds = append(kinds, e.Kind)
		}
		require.Equal(t, []transport.EventKind{transport.Disconnected, transport.SlowConsumer, transport.AsyncError, transport.AsyncError}, kinds)
		require.ErrorIs(t, got[3].Err, nats.ErrMaxSubscriptionsExceeded)
		require.ErrorContains(t, got[3].Err, "raise the NATS server's max_subscriptions")
		require.Equal(t, io.EOF, got[0].Err)
		require.ErrorIs(t, got[1].Err, nats.ErrSlowConsumer)
	}
}
