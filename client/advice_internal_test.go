package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestAdviceOnRefusals: over JetStream the server says what it lacks.
func TestAdviceOnRefusals(t *testing.T) {
	t.Parallel()
	require.Contains(t, (&options{jetStream: true}).advice(transport.ErrRefused), "what the server says it lacks")
	require.Equal(t, "the server's log", (&options{}).advice(transport.ErrRefused))
}
