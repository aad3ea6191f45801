package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// explain returns an error that says what a failed request to JetStream's API means, and what
// to do about it.
func (c *conn) explain(err error) error {
	name, at := c.cfg.ClusterID, natsconn.Redact(c.cfg.URL)
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(transport.ErrInvalid):
		return err
	case is(transport.ErrConnectionLost), is(transport.ErrNoCluster):
		return err
	case isUnavailable(err):
		return noStreamError{fmt.Errorf("JetStream at %s is not available for stream %q: %s: %w", at, name, checkCluster, err)}
	case is(nats.ErrReconnectBufExceeded): // which says nothing about the connection
		return awayError{fmt.Errorf("%w: there is no connection to the NATS server at %s", transport.ErrConnectionLost, at), err}
	case isAway(err):
		return fmt.Errorf("%w: there is no connection to the NATS server at %s: %w", transport.ErrConnectionLost, at, err)
	case is(transport.ErrForbidden):
		return fmt.Errorf("client %q: a JetStream client needs to publish to %s> and to subscribe to its inbox: %w", c.cfg.ClientID, c.prefix, err)
	case is(js.ErrJetStreamNotEnabled), is(js.ErrJetStreamNotEnabledForAccount), is(nats.ErrNoResponders):
		return noStreamError{fmt.Errorf("the server at %s answers, but has no JetStream: start it with -js, or enable it for the account: %w", at, err)}
	case is(js.ErrStreamNotFound) && !c.options.bindOnly:
		return noStreamError{fmt.Errorf("stream %q is gone at %s: it is made again: %w", name, at, err)}
	case is(js.ErrStreamNotFound):
		return noStreamError{fmt.Errorf("there is no stream %q at %s, and with option BindOnly it is not made: make it, check its name, or leave the option out: %w",
			name, at, err)}
	case is(context.Canceled), is(context.DeadlineExceeded):
		return noStreamError{fmt.Errorf("JetStream at %s did not answer for stream %q: check that the server grants permission for %s>, and that the stream has a leader: %w",
			at, name, c.prefix, err)}
	case is(nats.ErrConnectionClosed):
		return fmt.Errorf("%w: %w", transport.ErrConnectionLost, err)
	default:
		return fmt.Errorf("%w: stream %q at %s: %w", transport.ErrRefused, name, at, err)
	}
}

// noStreamError is an error that matches transport.ErrNoCluster, without the words of that, which
// are about NATS Streaming.
type noStreamError struct{ error }

func (e noStreamError) Unwrap() []error { return []error{transport.ErrNoCluster, e.error} }

// awayError is an error that matches cause, without its words.
type awayError struct {
	error
	cause error
}

func (e awayError) Unwrap() []error { return []error{e.error, e.cause} }
