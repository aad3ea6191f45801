package transport

import "strings"

// IsPattern reports whether the subject is a pattern: '*' stands for one token between
// dots, '>' at the end for one or more.
func IsPattern(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "*" || token == ">" {
			return true
		}
	}
	return false
}

// Covers reports whether the pattern takes all that the subject, which may be a
// pattern itself, stands for.
func Covers(pattern, subject string) bool {
	for {
		p, morePattern, pGoesOn := strings.Cut(pattern, ".")
		s, moreSubject, sGoesOn := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case s == ">", p != "*" && p != s:
			return false
		case !pGoesOn || !sGoesOn:
			return pGoesOn == sGoesOn
		}
		pattern, subject = morePattern, moreSubject
	}
}

// Overlap reports whether a subject can match both patterns.
func Overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">", bs[i] == ">":
			return true
		case as[i] != "*" && bs[i] != "*" && as[i] != bs[i]:
			return false
		}
	}
	return len(as) == len(bs)
}
