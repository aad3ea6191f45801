package events

import (
	"strings"

	"github.com/sgtickets/common/subjects"
)

// markPrefix begins the subjects of marks. No group of dead letters may be named so that its
// dead letters had such a subject.
const markPrefix = "dead._begun."

// MarkSubject returns the subject of a group's marks, "dead._begun.<group>". A mark is a small
// JSON object that a listener stores before it runs an event that may have ended several
// processes: it says which process runs which event. The marks of a group are under the same
// "dead.>" as its dead letters, and are none. Go services need not know of them: listeners
// write and read marks by themselves, and all readers of dead letters in this module pass
// over them. Readers in other languages tell marks by [IsMark]'s rule.
func MarkSubject(group string) subjects.Subject { return subjects.Subject(markPrefix + group) }

// IsMark reports whether the messages of a subject are marks, and no dead letters: it begins
// with "dead._begun.".
func IsMark(subject subjects.Subject) bool { return strings.HasPrefix(string(subject), markPrefix) }
