package transport_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

func TestPositions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	require.Equal(t, transport.Position{}, transport.All, "the zero value")
	require.Equal(t, uint64(7), transport.Sequence(7).Sequence())
	require.Equal(t, now, transport.Since(now).Time(time.Time{}))
	require.Equal(t, now.Add(-time.Hour), transport.Ago(time.Hour).Time(now))
	for text, p := range map[string]transport.Position{
		"all": transport.All, "new only": transport.NewOnly, "last received": transport.LastReceived,
		"sequence 7": transport.Sequence(7), "since 2026-11-21T12:00:00Z": transport.Since(now), "1h0m0s ago": transport.Ago(time.Hour),
	} {
		require.NoError(t, p.Validate())
		require.Equal(t, text, p.String())
	}
	for _, p := range []transport.Position{transport.Sequence(0), transport.Since(time.Time{}), transport.Ago(0), transport.Ago(-1)} {
		require.ErrorIs(t, p.Validate(), transport.ErrInvalid)
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	require.True(t, transport.Permanent(fmt.Errorf("x: %w", transport.ErrInvalid)))
	require.True(t, transport.Permanent(transport.ErrUnauthorized))
	require.False(t, transport.Permanent(transport.ErrForbidden))
	require.False(t, transport.Permanent(transport.ErrNoServer))
	require.False(t, transport.Permanent(nil))
}
