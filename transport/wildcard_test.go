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

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b    string
		overlap bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a.*", "*.b", true},
		{"a.*", "b.*", false},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{"*.x.>", "dead.*.y", true},
	} {
		require.Equal(t, tc.overlap, transport.Overlap(tc.a, tc.b), "%s and %s", tc.a, tc.b)
		require.Equal(t, tc.overlap, transport.Overlap(tc.b, tc.a), "%s and %s", tc.b, tc.a)
	}
}
