package jetstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/seeds"
)

// simulatedAdder is a client of the simulation that adds a subject.
type simulatedAdder struct {
	addition

	at     time.Duration // when it does its next thing
	began  time.Duration // when it began to read
	read   []string      // that it has read and not answered yet
	writes bool          // its next thing is that the stream takes its update
	done   bool
}

// playAdditions plays clients that add a subject each at the same time. Between reading the
// list and the moment at which the stream takes the update at most half of the shortest pause
// passes. hasty clients trust their update.
func playAdditions(seed uint64, tell seeds.Tell, hasty bool) string {
	random := rand.New(rand.NewPCG(seed, 0))
	list := []string{"dead.>"}
	clients := make([]*simulatedAdder, 2+random.IntN(40))
	slowest := time.Duration(1 + random.Int64N(int64(pauses.First/4)))
	takes := func() time.Duration { return time.Duration(random.Int64N(int64(slowest))) }
	for i := range clients {
		clients[i] = &simulatedAdder{addition: addition{names: []string{fmt.Sprintf("subject%d", i)}}, at: time.Duration(random.Int64N(int64(100 * time.Millisecond)))}
	}
	for {
		next := slices.MinFunc(clients, func(a, b *simulatedAdder) int {
			if a.done != b.done {
				return map[bool]int{false: -1, true: 1}[a.done]
			}
			return int(a.at - b.at)
		})
		if next.done {
			break
		}
		next.act(&list, takes, random.Float64(), hasty)
		if tell != nil {
			tell("%v: %s: %v", next.at, next.names[0], list)
		}
		if next.at > time.Minute || next.updates == maxUpdates {
			return fmt.Sprintf("%s is not done after %v and %d updates", next.names[0], next.at, next.updates)
		}
	}
	for _, c := range clients {
		if !covered(list, c.names[0]) {
			return fmt.Sprintf("%s was undone: %s", c.names[0], strings.Join(list, " "))
		}
	}
	return ""
}

func (s *simulatedAdder) act(list *[]string, takes func() time.Duration, chance float64, hasty bool) {
	if s.writes {
		*list = union(s.read, s.names)
		s.updated(*list)
		s.writes, s.done = false, hasty
		s.at += s.pause(s.at-s.began, chance)
		return
	}
	s.began, s.read = s.at, slices.Clone(*list)
	switch s.look(s.read) {
	case stepDone:
		s.done = true
	case stepUpdate:
		s.writes = true
		s.at += takes()
	case stepWait:
		s.at += s.pause(0, chance)
	case stepGiveUp:
		seeds.Violatef("gave up")
	}
}

// TestAdditions: whoever is done has its subject in the list, and everybody gets done.
func TestAdditions(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 2000, func(seed uint64, tell seeds.Tell) string {
		var broken string
		if violated := seeds.Play(func() { broken = playAdditions(seed, tell, false) }); violated != "" {
			return violated
		}
		return broken
	})
}

// TestAdditionsHaveTeeth: clients that don't look again undo each other's subjects.
func TestAdditionsHaveTeeth(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, playAdditions(1, nil, true))
}

// TestAddition asks for nothing that is there, and gives up where it is taken out each time.
func TestAddition(t *testing.T) {
	t.Parallel()
	there := addition{names: []string{"orders.created"}}
	require.Equal(t, stepDone, there.look([]string{"orders.>"}))

	added := addition{names: []string{"a", "b"}}
	require.Equal(t, stepUpdate, added.look([]string{"a"}))
	added.updated([]string{"a", "b"})
	require.Equal(t, stepWait, added.look([]string{"a", "b", "c"}), "others are at work")
	require.Equal(t, stepUpdate, added.look([]string{"a", "c"}), "somebody has undone it")
	added.updated([]string{"a", "b", "c"})
	require.Equal(t, stepDone, added.look([]string{"a", "b", "c"}))
	require.Equal(t, pauses.First, added.pause(0, 0), "the second pause is twice as long, and half of it is chance")
	require.Equal(t, 4*time.Second, added.pause(time.Second, 0), "a slow server makes others slow, too")

	fought := addition{names: []string{"a"}}
	for range maxUpdates {
		require.Equal(t, stepUpdate, fought.look(nil))
		fought.updated([]string{"a"})
	}
	require.Equal(t, stepGiveUp, fought.look(nil))
}
