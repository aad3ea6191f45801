package outbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Left counts the publishes that are not confirmed when their connection closes. The
// zero value is ready.
type Left struct {
	total     int
	bySubject map[string]int
}

// Add counts one of that subject.
func (l *Left) Add(subject string) {
	if l.bySubject == nil {
		l.bySubject = make(map[string]int)
	}
	l.total++
	l.bySubject[subject]++
}

// mostNamed is how many subjects an error names.
const mostNamed = 20

// String says how many there are, and of which subjects.
func (l *Left) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d publishes not confirmed", l.total)
	separator := " ("
	for i, subject := range slices.Sorted(maps.Keys(l.bySubject)) {
		if i == mostNamed {
			fmt.Fprintf(&b, " and of %d more subjects", len(l.bySubject)-mostNamed)
			break
		}
		fmt.Fprintf(&b, "%s%d of %s", separator, l.bySubject[subject], subject)
		separator = ", "
	}
	if l.total > 0 {
		b.WriteByte(')')
	}
	return b.String()
}
