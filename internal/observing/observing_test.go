package observing_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/observing"
	"github.com/sgtickets/common/observe"
)

// TestTell: one that panics is logged, and keeps nothing from the next.
func TestTell(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var told []observe.Kind
	observing.Tell(slog.New(slog.NewTextHandler(&log, nil)), []observe.Observer{
		observe.Func(func(observe.Observation) { panic("no metrics") }),
		observe.Func(func(o observe.Observation) { told = append(told, o.Kind) }),
	}, observe.Observation{Kind: observe.Skipped, Subject: "a"})
	require.Equal(t, []observe.Kind{observe.Skipped}, told)
	require.Contains(t, log.String(), `msg="observer panicked" kind=skipped subject=a panic="no metrics"`)
}
