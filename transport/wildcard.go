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
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || s[i] == ">", token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}
