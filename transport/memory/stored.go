package memory

import (
	"slices"

	"github.com/sgtickets/common/transport"
)

// Stored returns the messages that are stored on that subject, oldest first. The caller
// must not change their Data and Header.
func (b *Broker) Stored(subject string) []transport.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch, ok := b.channels[subject]
	if !ok {
		return nil
	}
	messages := make([]transport.Message, len(ch.log))
	for i, m := range ch.log {
		messages[i] = transport.Message{Subject: subject, Header: m.header, Data: m.data}
	}
	return messages
}

// Subjects returns the subjects on which messages are stored, in alphabetical order.
func (b *Broker) Subjects() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var subjects []string
	for name, ch := range b.channels {
		if len(ch.log) > 0 && !ch.pattern {
			subjects = append(subjects, name)
		}
	}
	slices.Sort(subjects)
	return subjects
}

// Changed returns a channel that is closed when the next message is stored.
func (b *Broker) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}
