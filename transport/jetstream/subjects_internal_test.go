package jetstream

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

func TestSubjectSet(t *testing.T) {
	t.Parallel()
	set := newSubjectSet([]string{"ticket:created", "seating.*", "dead.>"})
	for subject, takes := range map[string]bool{
		"ticket:created": true, "ticket:updated": false, "seating.taken": true, "seating.*": true, "seating.>": false, "seating.a.b": false,
		"dead.g.ticket:created": true, "dead": false,
	} {
		require.Equal(t, takes, set.takes(subject), subject)
	}
	var none *subjectSet
	require.False(t, none.takes("a"))
}

// TestCrossing finds subjects that a stream can't have both, and what takes in both.
func TestCrossing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ have, name, widened string }{
		{"orders.*.eu", "orders.new.*", "orders.*.*"},
		{"*.created", "orders.*", "*.*"},
		{"orders.*.>", "*.new.x", "*.*.>"},
		{"orders.*.*", "orders.>", ""},
		{"orders.>", "orders.created", ""},
		{"orders.created", "orders.>", ""},
		{"orders.created", "orders.cancelled", ""},
		{"orders.*.*.x", "orders.a.>", "orders.*.>"},
	} {
		_, crosses := crossing([]string{"dead.>", tc.have}, tc.name)
		require.Equal(t, tc.widened != "", crosses, "%s and %s", tc.have, tc.name)
		if crosses {
			wide := widened(tc.have, tc.name)
			require.Equal(t, tc.widened, wide)
			require.True(t, transport.Covers(wide, tc.have) && transport.Covers(wide, tc.name))
		}
	}
}
