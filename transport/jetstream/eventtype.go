package jetstream

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	js "github.com/nats-io/nats.go/jetstream"
)

// eventType is the metadata of a consumer that names the type of events that its members make
// of messages.
const eventType = "event_type"

// typeWarnings are the consumers of another type of events that were warned of, with that type.
// The zero value is ready.
type typeWarnings struct {
	mu     sync.Mutex
	warned map[string]string // type by consumer
}

// due reports whether it was not warned of before.
func (w *typeWarnings) due(consumer, of string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.warned[consumer] == of {
		return false
	}
	if w.warned == nil {
		w.warned = make(map[string]string)
	}
	w.warned[consumer] = of
	return true
}

// adjustEventType warns if the consumer was made for another type of events than asked for:
// each event goes to one of the members, and those of one type may not be able to decode what
// was meant for the other. With option UpdateConsumer the consumer has the new type from then on.
func (c *conn) adjustEventType(ctx context.Context, info *js.ConsumerInfo, asked js.ConsumerConfig) (*js.ConsumerInfo, error) {
	is, want := info.Config.Metadata[eventType], asked.Metadata[eventType]
	if is == "" || want == "" || is == want {
		return info, nil
	}
	if c.typeWarnings.due(info.Name, is) {
		c.log.Warn("the consumer was made for another type of events: each event goes to one member of the group, and a member with another type may not be able to decode it; "+
			"give one of the two services another queue group, or, if the type has another name now, use option UpdateConsumer once",
			slog.String("consumer", info.Name), slog.String("event_type", is), slog.String("listener_event_type", want))
	}
	if !c.options.updateConsumer {
		return info, nil
	}
	tuned := info.Config
	tuned.Metadata = maps.Clone(tuned.Metadata)
	tuned.Metadata[eventType] = want
	consumer, err := request(ctx, c, func(ctx context.Context) (js.Consumer, error) {
		return c.js.UpdateConsumer(ctx, c.cfg.ClusterID, tuned)
	})
	if err != nil {
		return nil, c.explainConsumer(err, asked)
	}
	return consumer.CachedInfo(), nil
}
