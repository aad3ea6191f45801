package events

import (
	"strings"

	"github.com/sgtickets/common/subjects"
)

// markPrefix begins the subjects of marks. EscapeGroup keeps those of dead letters from it.
const markPrefix = "dead." + reserved + "."

// MarkSubject returns a subject of marks, "dead._begun.<name>". A mark is a small JSON object
// that a listener stores before it runs an event that may have ended several processes: it
// says which process runs which event. name is that of the event's subject, so that a stream
// that stores the dead letters "dead.*.<subject>" stores its marks, too; over NATS Streaming,
// which has a channel for each, it is the group's, escaped. Marks are no dead letters. Go services need
// not know of them: listeners write and read marks by themselves, and all readers of dead
// letters in this module pass over them. Readers in other languages tell marks by [IsMark]'s
// rule.
func MarkSubject(name string) subjects.Subject { return subjects.Subject(markPrefix + name) }

// IsMark reports whether the messages of a subject are marks, and no dead letters: it begins
// with "dead._begun.".
func IsMark(subject subjects.Subject) bool { return strings.HasPrefix(string(subject), markPrefix) }
