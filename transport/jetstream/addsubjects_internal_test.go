package jetstream

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestSubjectsThatAreNotAdded by a client itself: they would take in what is others', or there
// is no end of them.
func TestSubjectsThatAreNotAdded(t *testing.T) {
	t.Parallel()
	var a subjectAdder
	for subject, says := range map[string]string{
		"*": "begins with a wildcard", ">": "begins with a wildcard", "*.created": "option Subjects", "$JS.API.x": "the servers themselves", "_INBOX.x": "the servers themselves",
	} {
		require.ErrorContains(t, a.check(subject), says)
	}
	for n := range maxAdded {
		subject := fmt.Sprintf("orders.%d", n)
		require.NoError(t, a.check(subject))
		a.added = append(a.added, subject)
	}
	require.ErrorContains(t, a.check("orders.more"), "such as orders.>, with option Subjects")
	require.NoError(t, a.check("orders.1"), "it may have to be added again")
}

// TestRefusedSubjectIsNotAskedForAgain for a while, whichever publisher wants it.
func TestRefusedSubjectIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &conn{over: true} // no goroutine adds anything
		why := errors.New("another stream has it")
		c.noteAdded([]string{"theirs", "ours"}, map[string]error{"theirs": why}, nil)
		require.Equal(t, []string{"ours"}, c.used())
		err := c.AddSubject(t.Context(), "theirs")
		require.Equal(t, why, err)
		time.Sleep(refusedFor + time.Second)
		r, err := c.requestSubject("theirs")
		require.NoError(t, err)
		same, err := c.requestSubject("theirs")
		require.NoError(t, err)
		require.Same(t, r, same)
		_, err = c.requestSubject("$JS.x")
		require.ErrorIs(t, err, transport.ErrInvalid)
	})
}
