package lifecycle_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/internal/lifecycle"
)

var (
	errFirst  = errors.New("first")
	errSecond = errors.New("second")
)

func TestLife(t *testing.T) {
	t.Parallel()
	l := lifecycle.New()
	require.False(t, l.Up(), "before it is set up, its end is no loss")
	l.Begin()
	require.True(t, l.Up())
	require.NoError(t, l.Err())

	stays, leaves := lifecycle.NewEnding(), lifecycle.NewEnding()
	l.Enter(stays)
	l.Enter(leaves)
	l.Leave(leaves)
	require.True(t, l.Closing())
	require.False(t, l.Closing(), "only once")

	require.True(t, l.End(errFirst))
	require.False(t, l.End(errSecond))
	<-l.Done()
	require.Equal(t, errFirst, l.Err())
	<-stays.Done()
	require.Equal(t, errFirst, stays.Err())
	require.NoError(t, leaves.Err())
	l.Leave(stays)

	late := lifecycle.NewEnding()
	l.Enter(late)
	require.Equal(t, errFirst, late.Err(), "what comes after the end ends at once")
}
