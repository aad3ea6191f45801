package listener

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestContradicts: only what can't be at the position shows that it had no effect;
// clocks may be apart.
func TestContradicts(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	began := at(1000)
	event := func(sequence uint64, seconds float64) *transport.Delivery {
		return &transport.Delivery{Sequence: sequence, Timestamp: at(seconds)}
	}
	for name, test := range map[string]struct {
		position Position
		first    *transport.Delivery
		want     bool
	}{
		"all":                       {All, event(1, 0), false},
		"last received":             {LastReceived, event(1, 0), false},
		"sequence, before":          {Sequence(7), event(6, 0), true},
		"sequence":                  {Sequence(7), event(7, 0), false},
		"sequence, expired":         {Sequence(7), event(9, 0), false},
		"new only, long before":     {NewOnly, event(1, 900), true},
		"new only, clocks":          {NewOnly, event(1, 995), false},
		"new only":                  {NewOnly, event(1, 1001), false},
		"since, long before":        {Since(at(500)), event(1, 400), true},
		"since, inexact":            {Since(at(500)), event(1, 498), false},
		"since a time to come":      {Since(at(2000)), event(1, 1001), false},
		"a time to come, known":     {Since(at(2000)), event(1, 900), true},
		"ago, long before":          {Ago(500 * time.Second), event(1, 400), true},
		"ago, inexact":              {Ago(500 * time.Second), event(1, 498), false},
		"ago, within what is asked": {Ago(500 * time.Second), event(1, 700), false},
	} {
		require.Equal(t, test.want, contradicts(test.position, test.first, began), name)
	}
}
