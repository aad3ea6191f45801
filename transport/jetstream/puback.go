package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"
)

// verdict is what an answer to a publish means.
type verdict int

const (
	// foreignAnswer: this client's stream has not written the answer. It decides nothing.
	foreignAnswer verdict = iota
	storedAnswer
	refusedAnswer
)

// pubAck is a stream's answer to a publish; see JSPubAckResponse in nats-server.
type pubAck struct {
	Error    *js.APIError `json:"error"`
	Stream   string       `json:"stream"`
	Domain   string       `json:"domain"`
	Sequence uint64       `json:"seq"`
}

// ownStream tells the answers of this client's stream from those of others that subscribe
// to the subject of an event: a stream in another domain or account, or any subscriber that
// replies to what it gets.
type ownStream struct {
	name, domain string
	prefix       []byte // of its confirmations, up to the sequence
}

func newOwnStream(name, domain string) *ownStream {
	prefix := fmt.Appendf(nil, `{"stream":%q,`, name)
	if domain != "" {
		prefix = fmt.Appendf(prefix, `"domain":%q,`, domain)
	}
	return &ownStream{name, domain, append(prefix, `"seq":`...)}
}

// read returns what an answer means. The ack is empty if the verdict is storedAnswer.
//
// A confirmation names the stream, its domain and a sequence. A refusal names the stream
// alone: servers leave the domain out.
func (o *ownStream) read(answer []byte) (verdict, pubAck) {
	if o.isStored(answer) {
		return storedAnswer, pubAck{}
	}
	var ack pubAck
	switch err := json.Unmarshal(answer, &ack); {
	case err != nil:
		return foreignAnswer, pubAck{}
	case ack.Stream != o.name:
		return foreignAnswer, ack
	case ack.Error != nil:
		return refusedAnswer, ack
	case ack.Domain != o.domain || ack.Sequence == 0:
		return foreignAnswer, ack
	default:
		return storedAnswer, pubAck{}
	}
}

// isStored recognises the confirmation that nearly all publishes get, in the form in which
// servers write it, without decoding it.
func (o *ownStream) isStored(answer []byte) bool {
	sequence, ok := bytes.CutPrefix(answer, o.prefix)
	if !ok || len(sequence) < 2 || len(sequence) > 20 || sequence[0] == '0' {
		return false
	}
	digits := sequence[:len(sequence)-1]
	return sequence[len(digits)] == '}' && !bytes.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
}

// whose names who has written the answer, in words.
func (a pubAck) whose() string {
	switch {
	case a.Stream == "":
		return "no stream has written it"
	case a.Domain == "":
		return fmt.Sprintf("stream %q has written it", a.Stream)
	default:
		return fmt.Sprintf("stream %q of domain %q has written it", a.Stream, a.Domain)
	}
}
