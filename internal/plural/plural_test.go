package plural_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/plural"
)

func TestCount(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 handlers", plural.Count(0, "handler", "handlers"))
	require.Equal(t, "1 handler", plural.Count(1, "handler", "handlers"))
	require.Equal(t, "2 handlers", plural.Count(2, "handler", "handlers"))
}
