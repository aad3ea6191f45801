package client

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// deadLetters is the pattern of the subjects that dead letters are stored under;
// see events.DeadLetterSubject.
const deadLetters = "dead.>"

// Subjects names subjects that a JetStream stream is to have once [Build] has returned, beside
// dead.> for dead letters. The stream is made with them, and one that exists gets those that
// it lacks. Nobody has to name the subject of a publisher or a listener: the client adds it to
// the stream before it is first published to or listened on. Subjects is for those that only
// others use, such as services in other languages, and for patterns that take in many. All
// of the platform's events:
//
//	client.Build(ctx, "ticketing", id, url, client.JetStream(), client.Subjects(subjects.All()...))
//
// The streams of one account can't share a subject, and a stream is made with dead.>, all dead
// letters. So one stream of an account is made in that way, the platform's or a team's. Others
// are refused, also with dead-letter subjects of their own, as long as one stream has dead.>. A
// second team has an account of its own; or uses the stream that is there, whose name is the
// cluster ID; or each stream of the account is made with jetstream.OnlySubjects, and with the
// dead letters of its own subjects alone, such as "dead.*.seat:assigned".
//
// Patterns such as "seating.>" are allowed. May be given several times, and adds up.
// jetstream.Subjects adds to these subjects, and jetstream.OnlySubjects replaces them, dead
// letters included. With jetstream.BindOnly and jetstream.FixedSubjects the subjects of a
// stream that exists stay as they are. NATS Streaming stores whatever is published, and does
// not have to be told. A name that can't be a subject, and one that takes in what the servers
// use (">", "$JS.>", "_INBOX.>"), is refused with [ErrInvalid]; so is a subject that the stream
// can't have, since another stream has it or the client may not change the stream.
func Subjects(names ...subjects.Subject) Option {
	return func(o *options) error {
		for _, name := range names {
			if err := validPattern(string(name)); err != nil {
				return fmt.Errorf("%w option Subjects: %w", transport.ErrInvalid, err)
			}
			o.subjects = append(o.subjects, string(name))
		}
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

// stored returns the subjects that the broker is to store from the beginning.
func (o *options) stored() []string { return append(slices.Clone(o.subjects), deadLetters) }
