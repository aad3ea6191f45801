package outbox_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/internal/outbox"
)

// TestLeft: what is not confirmed is told by subject, as far as that can be read.
func TestLeft(t *testing.T) {
	t.Parallel()
	var l outbox.Left
	for range 3 {
		l.Add("ticket:created")
	}
	l.Add("order:created")
	require.Equal(t, "4 publishes not confirmed (1 of order:created, 3 of ticket:created)", l.String())
	for n := range 25 {
		l.Add(fmt.Sprintf("z%02d", n))
	}
	require.Regexp(t, `^29 publishes not confirmed \(1 of order:created, .*, 1 of z17 and of 7 more subjects\)$`, l.String())
}
