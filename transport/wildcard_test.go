package transport_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

func TestIsPattern(t *testing.T) {
	t.Parallel()
	for subject, is := range map[string]bool{
		"a": false, "a.b": false, "": false, "a*": false, "a.>b": false, "*": true, ">": true, "a.*.b": true, "a.>": true,
	} {
		require.Equal(t, is, transport.IsPattern(subject), subject)
	}
}
