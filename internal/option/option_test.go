package option_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/option"
)

type settings []string

type set func(*settings) error

func add(name string) set {
	return func(s *settings) error {
		*s = append(*s, name)
		return nil
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	invalid, refused := errors.New("invalid"), errors.New("refused")

	var s settings
	require.NoError(t, option.Apply(invalid, &s, []set(nil)))
	require.NoError(t, option.Apply(invalid, &s, []set{add("one"), add("two")}))
	require.Equal(t, settings{"one", "two"}, s)

	s = nil
	err := option.Apply(invalid, &s, []set{add("one"), func(*settings) error { return refused }, add("three")})
	require.ErrorIs(t, err, refused)
	require.NotErrorIs(t, err, invalid)
	require.Equal(t, settings{"one"}, s)

	err = option.Apply(invalid, &s, []set{add("two"), nil})
	require.ErrorIs(t, err, invalid)
	require.EqualError(t, err, "invalid option: nil (number 2 of 2); leave it out")
}

func TestIsNil(t *testing.T) {
	t.Parallel()
	var pointer *settings
	require.True(t, option.IsNil(nil))
	require.True(t, option.IsNil(pointer))
	require.False(t, option.IsNil(&settings{}))
	require.False(t, option.IsNil(settings(nil)), "a value")
	require.False(t, option.IsNil(0))
}
