package client

import (
	"fmt"
	"strings"

	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// deadLetters is the pattern of the subjects that dead letters are stored under;
// see events.DeadLetterSubject.
const deadLetters = "dead.>"

// Subjects names the subjects that a JetStream stream stores beside dead letters. They are
// used when the client makes the stream, and by jetstream.AddSubjects. Default: the
// platform's own, subjects.All(). Subjects replaces them, so that a team with events and a
// stream of its own names its events alone:
//
//	client.Build(ctx, "seating", id, url, client.JetStream(), client.Subjects(SeatAssignedSubject))
//
// Dead letters have "dead.>", all of it. The streams of one account can't share a subject, so
// that one stream of an account is made in that way, the platform's or the team's. Others are
// refused, also with dead-letter subjects of their own, as long as one stream has "dead.>". A
// second team has an account of its own; or uses the stream that is there, whose name is the
// cluster ID, with Subjects and jetstream.AddSubjects; or each stream of the account is made
// with jetstream.OnlySubjects, and with the dead letters of its own subjects alone, such as
// "dead.*.seat:assigned".
//
// Without a name there are dead letters alone. Patterns such as "seating.>" are allowed. May
// be given several times, and adds up. jetstream.Subjects adds to these subjects, and
// jetstream.OnlySubjects replaces them, dead letters included. NATS Streaming stores
// whatever is published, and does not have to be told. A name that can't be a subject,
// and one that takes in what the servers use (">", "$JS.>", "_INBOX.>"), is refused with
// [ErrInvalid].
func Subjects(names ...subjects.Subject) Option {
	return func(o *options) error {
		for _, name := range names {
			if err := validPattern(string(name)); err != nil {
				return fmt.Errorf("%w option Subjects: %w", transport.ErrInvalid, err)
			}
			o.subjects = append(o.subjects, string(name))
		}
		o.subjectsGiven = true
		return nil
	}
}

// validPattern returns an error if name can be neither a subject nor a pattern, or takes in
// what the servers themselves use.
func validPattern(name string) error {
	first, rest, _ := strings.Cut(name, ".")
	if first == ">" || first == "*" && rest == ">" || strings.HasPrefix(first, "$") || first == "_INBOX" {
		return fmt.Errorf("%q: it takes in subjects that the servers themselves use, such as $JS.> and _INBOX.>; begin it with a name of your own", name)
	}
	literal := name
	if transport.IsPattern(name) {
		tokens := strings.Split(name, ".")
		for i, token := range tokens {
			if token == "*" || token == ">" && i == len(tokens)-1 {
				tokens[i] = "x"
			}
		}
		literal = strings.Join(tokens, ".")
	}
	if err := subjects.Valid(literal); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

// stored returns the subjects that the broker is to store.
func (o *options) stored() []string {
	if o.subjectsGiven {
		return append(append([]string(nil), o.subjects...), deadLetters)
	}
	all := subjects.All()
	names := make([]string, 0, len(all)+1)
	for _, s := range all {
		names = append(names, string(s))
	}
	return append(names, deadLetters)
}
