package jetstream

import (
	"context"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// What a stream can be used for. Nothing can be published to a mirror or a sealed stream, which
// a client with BindOnly may listen to. A stream that does not keep what is acknowledged is one
// to publish to.

// unpublishable returns why nothing can be published to the stream, and what to do; "" if it can
// be.
func unpublishable(config js.StreamConfig) string {
	switch {
	case config.Mirror != nil:
		return fmt.Sprintf("it is a mirror, to which nothing can be published: publish to the stream %q that it mirrors", config.Mirror.Name)
	case config.Sealed:
		return "it is sealed, so that nothing can be stored in it: publish to another stream"
	default:
		return ""
	}
}

// unlistenable returns an error that matches transport.ErrInvalid if the members of a queue
// group would not get all events of the stream.
func unlistenable(config js.StreamConfig) error {
	if config.Retention == js.LimitsPolicy {
		return nil
	}
	return fmt.Errorf("%w: stream %q has retention %v, not %v: %s. A client can publish to it; to listen, use a stream with retention limits",
		transport.ErrInvalid, config.Name, config.Retention, js.LimitsPolicy, retentionMatters)
}

const retentionMatters = "events would be gone once one queue group has handled them"

// receives reports whether messages of the subject can be in the stream: those that are
// published, and those that it gets from other streams.
func receives(config js.StreamConfig, subject string) bool {
	if covered(config.Subjects, subject) {
		return true
	}
	if config.Mirror != nil {
		return sends(config.Mirror, subject)
	}
	for _, source := range config.Sources {
		if sends(source, subject) {
			return true
		}
	}
	return false
}

// sends reports whether a stream can get messages of the subject from another one. Which
// subjects that one has, the server does not say.
func sends(source *js.StreamSource, subject string) bool {
	if len(source.SubjectTransforms) > 0 || source.FilterSubject == "" {
		return true
	}
	return transport.Overlap(source.FilterSubject, subject)
}

// lastSeen returns the stream's configuration as it was last seen.
func (c *conn) lastSeen() js.StreamConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream
}

// ensureListenable finds out whether a listener to the subject gets its events from the stream,
// to which the subject is added where the client may.
func (c *conn) ensureListenable(ctx context.Context, subject string) error {
	if config := c.lastSeen(); config.Retention != js.LimitsPolicy {
		if _, err := c.findStream(ctx); err != nil { // it may be another one by now
			return c.explain(err)
		}
	}
	config := c.lastSeen()
	if err := unlistenable(config); err != nil {
		return err
	}
	if !c.options.addsSubjects() && receives(config, subject) {
		return nil
	}
	err := c.ensureTaken(ctx, subject)
	if err != nil && !c.options.addsSubjects() && receives(c.lastSeen(), subject) {
		return nil // it has sources since
	}
	return err
}

// remedyForSubject says how the stream comes to take a subject.
func (c *conn) remedyForSubject(subject string) string {
	if why := unpublishable(c.lastSeen()); why != "" {
		return why
	}
	return c.options.remedyForSubject(c.cfg.ClusterID, subject)
}
