package natsconn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

// Violation is an error of the NATS server about one message or one subscription that it has
// refused, since the user lacks a permission.
type Violation struct {
	Subscribe bool   // it refused a subscription, or has ended one; false: a message
	Subject   string // of NATS
	Err       error  // as nats.go reports it
}

// Missing names the permission that is missing, and the remedy. grant is a pattern that the
// user needs, which covers the subject.
func (v Violation) Missing(grant string) error {
	what := "publish"
	if v.Subscribe {
		what = "subscribe"
	}
	return fmt.Errorf("%w: the NATS server does not let this user %s to %q: grant it permission to %s to %q",
		transport.ErrForbidden, what, v.Subject, what, grant)
}

// Texts of nats-server (pubPermissionViolation, subPermissionViolation and
// processSubsOnConfigReload of its client.go): the protocol carries no code.
const (
	refusedPublish   = "Permissions Violation for Publish to "
	refusedSubscribe = "Permissions Violation for Subscription to "
)

// readViolation reads the error that nats.go makes of the server's.
func readViolation(err error) (v Violation, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return v, false
	}
	for _, text := range []string{refusedPublish, refusedSubscribe} {
		_, rest, found := strings.Cut(err.Error(), text)
		if !found {
			continue
		}
		quoted, err2 := strconv.QuotedPrefix(rest)
		if err2 != nil {
			continue
		}
		subject, err2 := strconv.Unquote(quoted)
		return Violation{Subscribe: text == refusedSubscribe, Subject: subject, Err: err}, err2 == nil
	}
	return v, false
}

// heard is what nats.go's callbacks have told so far. nats.go calls them on a goroutine of
// its own, later than it receives.
type heard struct {
	mu         sync.Mutex
	lastError  error
	reconnects uint64        // nats.go's count when it told of the latest
	more       chan struct{} // closed when there is more; nil until somebody waits
}

func (h *heard) note(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
}

// Check sends a PING on the connection that w watches and waits for the PONG, and then until
// w was told of all errors that the server sent before it. Then the server has taken or
// refused all that was sent before the call, and w was told of all that it has refused.
// Otherwise Check returns an error, within ctx at the latest.
func (w *Watch) Check(ctx context.Context, nc *nats.Conn) error {
	if err := nc.FlushWithContext(ctx); err != nil {
		return err
	}
	for {
		// nats.go sets its last error when it receives one, before it queues the callback.
		last, reconnects := nc.LastError(), nc.Stats().Reconnects
		violation := errors.Is(last, nats.ErrPermissionViolation) // each is an error value of its own; of others that is not known
		w.heard.mu.Lock()
		if reconnects == w.heard.reconnects && (last == nil || violation && last == w.heard.lastError) { //nolint:errorlint // this very value
			w.heard.mu.Unlock()
			return nil
		}
		if last != nil && !violation {
			w.heard.mu.Unlock()
			return fmt.Errorf("the NATS server has reported another error since: %w", last)
		}
		if w.heard.more == nil {
			w.heard.more = make(chan struct{})
		}
		more := w.heard.more
		w.heard.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
