package jetstream

import (
	"fmt"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// How the server's store describes a limit of the stream that is reached; see store.go of
// nats-server. All begin with limitReached.
const (
	limitReached           = "maximum "
	maxMessagesReached     = limitReached + "messages exceeded"
	maxBytesReached        = limitReached + "bytes exceeded"
	maxPerSubjectReached   = limitReached + "messages per subject exceeded"
	whoManagesRaisesLimits = "ask who manages the stream to raise it, or to have it drop what is old (discard old)"
)

// full is the error of a publish that the stream refuses since it holds as much as it may. It
// names the limit, and the option that raises it.
func full(config js.StreamConfig, o options, err *js.APIError) error {
	var limit, remedy string
	switch err.Description {
	case maxMessagesReached:
		limit, remedy = named("max_msgs", config.MaxMsgs), "option MaxMessages"
	case maxBytesReached:
		limit, remedy = named("max_bytes", config.MaxBytes), "option MaxBytes"
	case maxPerSubjectReached:
		return fmt.Errorf("%w: stream %q holds as many messages of the subject as it may (%s) and refuses what is new: "+
			"no option of the client raises that: ask who manages the stream to raise max_msgs_per_subject, or to take discard_new_per_subject off: %w",
			transport.ErrRefused, config.Name, named("max_msgs_per_subject", config.MaxMsgsPerSubject), err)
	default:
		limit = strings.TrimSuffix(err.Description, " exceeded")
	}
	switch {
	case o.bindOnly || remedy == "":
		remedy = whoManagesRaisesLimits
	default:
		remedy = fmt.Sprintf("raise it (%s with UpdateStream), or let the stream drop what is old (DiscardOld with UpdateStream)", remedy)
	}
	return fmt.Errorf("%w: stream %q is full and refuses what is new, since it has reached its limit %s: %s: %w", transport.ErrRefused, config.Name, limit, remedy, err)
}

// named returns a limit's name, and how high it was when the stream was last seen: it may have
// been set since.
func named(limit string, was int64) string {
	if was <= 0 {
		return limit
	}
	return fmt.Sprintf("%s %d", limit, was)
}

// accountFull is the error of a publish that the account's or the servers' limits refuse.
func accountFull(config js.StreamConfig, err *js.APIError) error {
	return fmt.Errorf("%w: stream %q can't grow, since the account's limit on JetStream storage, or that of the servers, is reached: "+
		"ask who manages the account to raise it (max_file, max_mem), or give the stream limits of its own (options MaxBytes and DiscardOld with UpdateStream): %w",
		transport.ErrRefused, config.Name, err)
}
