package jetstream

import "strings"

// need is something that a connection does all the time, and has to be permitted: for one
// consumer, or, where that is empty, for all.
type need struct {
	kind     needKind
	consumer string
	stream   string
}

type needKind int

const (
	needAcks    needKind = iota // to acknowledge messages
	needPulls                   // to request messages
	needInboxes                 // to receive messages, and answers to requests and publishes
)

// Subscribes implements [natsconn.Need].
func (n need) Subscribes() bool { return n.kind == needInboxes }

// Grant implements [natsconn.Need].
func (n need) Grant(subject string) string {
	switch n.kind {
	case needAcks:
		return ackPrefix + ">"
	case needPulls:
		return subject
	default:
		prefix, _, _ := strings.Cut(subject, ".") // such as _INBOX, behind which comes chance
		return prefix + ".>"
	}
}

// Effect implements [natsconn.Need].
func (n need) Effect() string {
	switch n.kind {
	case needAcks:
		return "acknowledgements of consumer " + n.consumer + " are refused, so that its events come again"
	case needPulls:
		return "no events of consumer " + n.consumer + " are received, since it can't be asked for them"
	default:
		return "neither events nor answers of the NATS server are received"
	}
}

// ackPrefix begins the subjects of acknowledgements.
const ackPrefix = "$JS.ACK."

// pullPrefix begins the subjects of requests for messages, behind the prefix of the API.
const pullPrefix = "CONSUMER.MSG.NEXT."

// needOf returns what is needed to publish to a subject of JetStream's. apiPrefix is that of
// its API.
func needOf(subject, apiPrefix string) (n need, ok bool) {
	if pulls, is := strings.CutPrefix(subject, apiPrefix+pullPrefix); is {
		stream, consumer, is := strings.Cut(pulls, ".")
		return need{needPulls, consumer, stream}, is
	}
	acks, is := strings.CutPrefix(subject, ackPrefix)
	if !is {
		return n, false
	}
	tokens := strings.Split(acks, ".")
	i := ackNames(tokens)
	if i < 0 {
		return n, false
	}
	return need{needAcks, tokens[i+1], tokens[i]}, true
}

// ackNames returns where stream and consumer are in the subject of an acknowledgement behind
// its prefix, see originOf; -1 if it is none.
func ackNames(tokens []string) int {
	switch {
	case len(tokens) >= 9:
		return 2
	case len(tokens) == 7:
		return 0
	default:
		return -1
	}
}

// harmlessAck returns the subject on which to acknowledge no message of the same consumer.
func harmlessAck(subject string) string {
	tokens := strings.Split(strings.TrimPrefix(subject, ackPrefix), ".")
	if i := ackNames(tokens); i >= 0 {
		tokens[i+3] = "0" // the sequence
	}
	return ackPrefix + strings.Join(tokens, ".")
}
