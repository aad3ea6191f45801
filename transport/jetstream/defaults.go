package jetstream

import (
	"log/slog"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
)

// usualDuplicates is how long the server remembers message IDs, unless it is told otherwise
// (StreamDefaultDuplicatesWindow).
const usualDuplicates = 2 * time.Minute

// unlikeDefaults returns in which settings a stream differs from one that the client would
// make, as far as no option asks for them.
func (o options) unlikeDefaults(config js.StreamConfig) differences {
	var d differences
	const removes = "events are removed then, handled or not"
	kept := "what is published is refused then"
	if config.Discard == js.DiscardOld {
		kept = removes
	}
	if o.replicas == nil {
		differ(&d, "replicas", config.Replicas, 1, "option Replicas")
	}
	if o.discard == nil {
		differ(&d, "discard", config.Discard, js.DiscardNew, "where a limit is reached, the oldest events are removed, handled or not; option DiscardOld")
	}
	if o.maxAge == nil {
		differ(&d, "max_age", config.MaxAge, 0, removes+"; option MaxAge")
	}
	if o.maxBytes == nil {
		differ(&d, "max_bytes", unlimited(config.MaxBytes), -1, kept+"; option MaxBytes")
	}
	if o.maxMessages == nil {
		differ(&d, "max_msgs", unlimited(config.MaxMsgs), -1, kept+"; option MaxMessages")
	}
	perSubject := removes
	if config.Discard == js.DiscardNew && config.DiscardNewPerSubject {
		perSubject = kept
	}
	differ(&d, "max_msgs_per_subject", unlimited(config.MaxMsgsPerSubject), -1, perSubject)
	if o.duplicates == nil && config.Mirror == nil {
		want := usualDuplicates
		if config.MaxAge > 0 {
			want = min(want, config.MaxAge)
		}
		differ(&d, "duplicate_window", config.Duplicates, want, "for so long a publish that is sent again is recognised; option DuplicateWindow")
	}
	return d
}

// unlimited returns a limit in the one form that means none: servers have two.
func unlimited(limit int64) int64 {
	if limit <= 0 {
		return -1
	}
	return limit
}

// warnOfSettings warns of what an owner of the stream has set and no option asks for.
func (c *conn) warnOfSettings(config js.StreamConfig) {
	if d := c.options.unlikeDefaults(config); len(d) > 0 {
		c.log.Warn("the stream's settings differ from those of a stream that the client makes, and are used as they are; "+
			"give the client the options that say so if that is meant, or have the stream changed",
			slog.String("stream", config.Name), slog.Any("differences", d.err()))
	}
}
