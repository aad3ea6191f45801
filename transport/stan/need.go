package stan

import (
	"strings"

	"github.com/nats-io/stan.go"
)

// need is something that a client does all the time, and has to be permitted. Events are not
// among them, since each publish has an error of its own, and neither are requests.
type need struct {
	kind    needKind
	channel string // of acknowledgements and events
}

type needKind int

const (
	needAcks          needKind = iota // to acknowledge events of a channel
	needEvents                        // to receive events of a channel
	needAnswers                       // to receive answers to requests, and heartbeats
	needConfirmations                 // to receive confirmations of publishes
	needHeartbeats                    // to answer the server's heartbeats
	needPings                         // to ask the server whether it knows the client
)

// Subscribes implements [natsconn.Need].
func (n need) Subscribes() bool {
	return n.kind == needEvents || n.kind == needAnswers || n.kind == needConfirmations
}

// Grant implements [natsconn.Need].
func (n need) Grant(subject string) string {
	if n.kind == needPings {
		return subject
	}
	parent, _, _ := strings.Cut(subject, ".") // such as _INBOX, behind which comes chance
	if n.kind == needConfirmations {
		parent = stan.DefaultACKPrefix
	}
	return parent + ".>"
}

// Effect implements [natsconn.Need].
func (n need) Effect() string {
	return [...]string{
		needAcks:          "acknowledgements of " + n.channel + " are refused, so that its events come again",
		needEvents:        "no events of " + n.channel + " are received",
		needAnswers:       "no answers of the streaming server are received",
		needConfirmations: "publishes are refused, since their confirmations would not be received",
		needHeartbeats:    "the streaming server's heartbeats are not answered, so that it gives the client up",
		needPings:         "the streaming server can't be asked whether it knows the client",
	}[n.kind]
}
