package schedule

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// marksOf returns marks that processes have stored of event "e", one a second, and then begins to hear all.
func marksOf(processes ...string) *Marks {
	m := NewMarks("own", 3)
	for i, p := range processes {
		m.Hear(Mark{Process: p, Listen: p + strconv.Itoa(i), Number: 1, Events: []string{"e"}, Interval: time.Second, Stored: at(float64(i)), Client: "client-" + p}, at(100))
	}
	return m
}

// TestProcessesThatEnded: each process counts once, if it is silent for several intervals while others are heard.
func TestProcessesThatEnded(t *testing.T) {
	t.Parallel()
	m := marksOf("a", "b", "b", "own", "c")
	require.Equal(t, Judgement{Until: at(103)}, m.Judge("e", at(100), at(100)), "it is not known yet whether they live")
	require.Equal(t, Judgement{Until: at(103)}, m.Judge("e", at(100), at(102.9)))
	j := m.Judge("e", at(100), at(103))
	require.Equal(t, Judgement{Ended: []string{"client-a", "client-b", "client-c"}, Crashes: true}, j)
	require.True(t, j.Crashes)
	require.Equal(t, Judgement{}, m.Judge("other", at(100), at(103)))
}

// TestTooFewToGiveUp: nothing is waited for if the event would not be given up in any case.
func TestTooFewToGiveUp(t *testing.T) {
	t.Parallel()
	j := marksOf("a", "b", "b", "own").Judge("e", at(100), at(100))
	require.Equal(t, Judgement{}, j)
	require.False(t, j.Crashes)
}

// TestAProcessThatRenewsItsMarkLives, and so does one that takes it back, in whatever order its marks were stored.
func TestAProcessThatRenewsItsMarkLives(t *testing.T) {
	t.Parallel()
	m := marksOf("a", "b", "c")
	m.Hear(Mark{Process: "c", Listen: "c2", Number: 2, Events: []string{"e"}, Interval: time.Second, Stored: at(4)}, at(102))
	require.Equal(t, Judgement{}, m.Judge("e", at(100), at(102)), "so that there are too few, whatever becomes of the others")
	require.False(t, m.Judge("e", at(100), at(200)).Crashes, "one mark after the beginning is enough")
	require.True(t, m.Judge("e", at(300), at(303)).Crashes, "but not one before")

	m = marksOf("a", "b", "c")
	m.Hear(Mark{Process: "c", Listen: "c2", Number: 3, Stored: at(4)}, at(90))
	m.Hear(Mark{Process: "c", Listen: "c2", Number: 2, Events: []string{"e"}, Interval: time.Second, Stored: at(5)}, at(91))
	require.Equal(t, []string{"client-a", "client-b"}, m.Judge("e", at(100), at(200)).Ended, "the highest number counts")
}

// TestAProcessWithTwoListens lives if one of them does, and is waited for as long as the slower one may take.
func TestAProcessWithTwoListens(t *testing.T) {
	t.Parallel()
	m := marksOf("a", "b", "c")
	m.Hear(Mark{Process: "c", Listen: "another", Number: 1, Events: []string{"e"}, Interval: 10 * time.Second, Stored: at(4)}, at(100))
	require.Equal(t, Judgement{Ended: []string{"client-a", "client-b"}, Until: at(130)}, m.Judge("e", at(100), at(103)))
	m.Hear(Mark{Process: "c", Listen: "another", Number: 2, Events: []string{"e"}, Interval: 10 * time.Second, Stored: at(5)}, at(104))
	require.Equal(t, Judgement{Ended: []string{"client-a", "client-b"}}, m.Judge("e", at(100), at(200)))
}

// TestOldMarks do not count, and do not fill the memory.
func TestOldMarks(t *testing.T) {
	t.Parallel()
	m := marksOf("a", "b", "c")
	m.Hear(Mark{Process: "d", Listen: "d", Number: 1, Stored: at(2).Add(MaxMarkAge)}, at(100))
	require.Equal(t, []string{"client-c"}, m.Judge("e", at(100), at(200)).Ended, "the other two are too old")
	for i := range maxMarks {
		m.Hear(Mark{Process: "p", Listen: strconv.Itoa(i), Number: 1, Events: []string{"x"}, Stored: at(float64(3_000_000 + i))}, at(100))
	}
	require.Len(t, m.latest, maxMarks)
	require.Equal(t, Judgement{}, m.Judge("e", at(100), at(200)))
}
