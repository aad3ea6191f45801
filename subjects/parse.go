package subjects

import (
	"errors"
	"fmt"
)

// ErrUnknown is what [Parse] returns, wrapped, for a name that is not one of [All].
var ErrUnknown = errors.New("unknown subject")

// Parse returns the subject of [All] that has this name, upper and lower case
// told apart. Any other name is an error that wraps [ErrUnknown] and suggests
// the nearest known one. It is meant for names that come from outside the
// program, a flag or a configuration file; in code, use the constants.
func Parse(name string) (Subject, error) {
	known := All()
	nearest, least := known[0], -1
	for _, s := range known {
		if string(s) == name {
			return s, nil
		}
		if d := distance(name, string(s)); least < 0 || d < least {
			nearest, least = s, d
		}
	}
	return "", fmt.Errorf("%w %q: did you mean %q?", ErrUnknown, clip(name), nearest)
}

// maxQuoted is how much of a wrong name is looked at and shown: more than any
// name has, and little enough for a log line.
const maxQuoted = 100

func clip(name string) string {
	if len(name) > maxQuoted {
		return name[:maxQuoted] + "..."
	}
	return name
}

// distance is the Levenshtein distance of a to b in bytes: how many have to be
// inserted, deleted or replaced to make the one of the other.
func distance(a, b string) int {
	a = clip(a)
	row := make([]int, len(b)+1) // row[j]: distance of a[:i] to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
