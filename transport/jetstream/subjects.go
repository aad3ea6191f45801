package jetstream

import (
	"slices"
	"strings"

	"github.com/sgtickets/common/transport"
)

// subjectSet is the list of a stream's subjects, to be looked up at each publish. It does not
// change.
type subjectSet struct {
	list     []string
	literals map[string]struct{}
	patterns []string
}

func newSubjectSet(list []string) *subjectSet {
	set := &subjectSet{list: list, literals: make(map[string]struct{}, len(list))}
	for _, name := range list {
		if transport.IsPattern(name) {
			set.patterns = append(set.patterns, name)
		} else {
			set.literals[name] = struct{}{}
		}
	}
	return set
}

// takes reports whether one of the subjects takes all that the subject, which may have
// wildcards itself, stands for. A nil set takes nothing.
func (s *subjectSet) takes(subject string) bool {
	if s == nil {
		return false
	}
	if _, ok := s.literals[subject]; ok {
		return true
	}
	return covered(s.patterns, subject)
}

// union returns have and those of more that it does not cover, without what these
// cover.
func union(have, more []string) []string {
	all := slices.Clone(have)
	for _, name := range more {
		if !covered(all, name) {
			all = slices.DeleteFunc(all, func(old string) bool { return covered([]string{name}, old) })
			all = append(all, name)
		}
	}
	return all
}

// lacking returns those of names that have does not cover.
func lacking(have, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return covered(have, name) })
}

// covered reports whether one of the patterns takes all that the subject, which
// may have wildcards itself, stands for.
func covered(patterns []string, subject string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return transport.Covers(pattern, subject) })
}

// crossing returns the first of the subjects that takes some of what name stands for, and
// neither takes in all of the other. A stream can't have both; the server refuses that.
func crossing(have []string, name string) (other string, crosses bool) {
	for _, other := range have {
		if transport.Overlap(other, name) && !transport.Covers(other, name) && !transport.Covers(name, other) {
			return other, true
		}
	}
	return "", false
}

// widened returns the narrowest pattern that takes in both of two that cross.
func widened(a, b string) string {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	tokens := make([]string, 0, min(len(as), len(bs)))
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">", bs[i] == ">":
			return strings.Join(append(tokens, ">"), ".")
		case as[i] == bs[i]:
			tokens = append(tokens, as[i])
		default:
			tokens = append(tokens, "*")
		}
	}
	return strings.Join(tokens, ".")
}
