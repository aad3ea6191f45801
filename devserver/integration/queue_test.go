package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDurableGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c, g := connect(t), group()
	publish[tag](t, c, 5)

	box := newInbox()
	require.NoError(t, func() error {
		l := listen(t, c, g, into[tag](box))
		require.Equal(t, count(5), box.take(t, 5))
		return l.end(t)
	}())

	publishFrom[tag](t, c, 6, 9) // while nobody listens
	listen(t, c, g, into[tag](box))
	require.Equal(t, countFrom(6, 9), box.take(t, 4))
}
