package outbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sgtickets/common/internal/plural"
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
	b.WriteString(plural.Count(l.total, "publish", "publishes") + " not confirmed")
	separator := " ("
	for i, subject := range slices.Sorted(maps.Keys(l.bySubject)) {
		if i == mostNamed {
			b.WriteString(" and of " + plural.Count(len(l.bySubject)-mostNamed, "more subject", "more subjects"))
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
