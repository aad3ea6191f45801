package listener

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// unfinished says what the drain leaves behind: by how many events, and which. It is
// called with r.mu held.
func (r *run) unfinished() string {
	runs := make([]uint64, 0, len(r.book.running))
	var opens, dies []uint64
	for _, w := range r.book.running {
		runs = append(runs, w.id.sequence)
	}
	for _, w := range r.book.active {
		switch w.state {
		case open:
			opens = append(opens, w.id.sequence)
		case dying:
			dies = append(dies, w.id.sequence)
		default:
		}
	}
	var left []string
	for _, l := range []struct {
		what      string
		sequences []uint64
	}{{"handlers still running", runs}, {"events not settled", opens}, {"dead letters not stored", dies}} {
		if len(l.sequences) > 0 {
			left = append(left, fmt.Sprintf("%d %s (%s)", len(l.sequences), l.what, enumerate(l.sequences)))
		}
	}
	if left == nil {
		return "what was decided of some events may not be sent"
	}
	return strings.Join(left, ", ")
}

// mostNamed is how many sequences an error names.
const mostNamed = 20

// enumerate names the first of them.
func enumerate(sequences []uint64) string {
	slices.Sort(sequences)
	var b strings.Builder
	b.WriteString("sequence")
	if len(sequences) > 1 {
		b.WriteByte('s')
	}
	for i, s := range sequences {
		if i == mostNamed {
			fmt.Fprintf(&b, " and %d more", len(sequences)-mostNamed)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(strconv.FormatUint(s, 10))
	}
	return b.String()
}
