package jetstream

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// givenUpPrefix begins the subjects on which the server tells that it delivers a message no more,
// since the consumer's max_deliver is used up: stream and consumer follow. The server stores no
// advisory: who is not connected does not get to know. They have no prefix of a domain, so that
// those of a stream in another domain do not come here.
const givenUpPrefix = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."

// isAdvisory reports whether the server's advisories come on a subject. Who may not subscribe to
// it does without them.
func isAdvisory(subject string) bool { return strings.HasPrefix(subject, givenUpPrefix) }

// listenForGivenUp has the server tell which messages it gives up, if the consumer delivers a
// message a limited number of times. Doing so again does nothing.
func (s *subscription) listenForGivenUp(config js.ConsumerConfig) {
	if maxDeliver(config) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.advisories != nil || s.stopping.Err() != nil {
		return
	}
	sub, err := s.conn.nc.Subscribe(givenUpPrefix+s.conn.cfg.ClusterID+"."+s.consumer.name, s.givenUp)
	if err == nil { // else the connection is closed
		s.advisories = sub
	}
}

// givenUp tells what the server says in an advisory; see its JSConsumerDeliveryExceededAdvisory.
func (s *subscription) givenUp(m *nats.Msg) {
	var told struct {
		Stream     string `json:"stream"`
		Consumer   string `json:"consumer"`
		Sequence   uint64 `json:"stream_seq"` //nolint:tagliatelle // as the server has it
		Deliveries uint64 `json:"deliveries"`
	}
	if err := json.Unmarshal(m.Data, &told); err != nil || told.Stream != s.conn.cfg.ClusterID || told.Consumer != s.consumer.name || told.Sequence == 0 {
		return // somebody else has written it
	}
	s.conn.watch.Tell(transport.Event{
		Kind: transport.MessagesGivenUp,
		Removed: transport.Removed{
			Subject: s.config.Subject, Group: s.config.Group, Durable: s.config.Durable, First: told.Sequence, Last: told.Sequence, Count: 1,
		},
		Err: fmt.Errorf("consumer %s delivers the event of sequence %d no more: it was delivered %d times, which is its max_deliver, and nobody has acknowledged it; "+
			"it is still in stream %s: get it by its sequence and publish it again, and set max_deliver to -1", s.consumer.name, told.Sequence, told.Deliveries, told.Stream),
	})
}

// endAdvisories ends what listenForGivenUp began.
func (s *subscription) endAdvisories() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.advisories != nil {
		_ = s.advisories.Unsubscribe()
	}
}
