package versions_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener/internal/versions"
)

func TestReaders(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	var readers versions.Readers
	require.Zero(t, readers.Behind("store", at(100)))
	reader := readers.Add("store", began)
	require.Zero(t, readers.Behind("store", at(100)), "it has read nothing")

	reader.Done(at(-500), at(1))
	require.Equal(t, at(1), readers.Behind("store", at(-600)), "it reads what was stored before it began")
	require.Zero(t, readers.Behind("other", at(-600)))

	reader.Done(at(10), at(20)) // it has caught up with its beginning
	require.Equal(t, at(1), readers.Behind("store", at(9)))
	require.Equal(t, at(20), readers.Behind("store", at(11)), "what comes before an event that was stored at 11 may be still to come")

	other := readers.Add("store", at(30))
	other.Done(at(29), at(31))
	require.Equal(t, at(31), readers.Behind("store", at(5)), "of several the latest")
	other.Remove()
	require.Equal(t, at(20), readers.Behind("store", at(11)))
	reader.Remove()
	require.Zero(t, readers.Behind("store", at(11)), "nothing is kept of those that have ended")
}
