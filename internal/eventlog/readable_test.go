package eventlog_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/eventlog"
)

func TestReadable(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	handler := slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	l := eventlog.Readable(eventlog.Readable(slog.New(handler)))
	l.With(slog.Duration("a", time.Second)).WithGroup("g").Warn("text", slog.Duration("b", 1500*time.Millisecond), slog.Int("c", 3))
	l.Info("without", slog.Int("c", 3))
	l.Debug("not enabled")
	require.Equal(t, `{"level":"WARN","msg":"text","a":"1s","g":{"b":"1.5s","c":3}}
{"level":"INFO","msg":"without","c":3}
`, log.String())
	discard := slog.New(slog.DiscardHandler)
	require.Same(t, discard, eventlog.Readable(discard))
}
