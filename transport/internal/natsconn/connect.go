// Package natsconn makes the NATS connection that a transport runs on. It checks the URLs
// and the caller's NATS options, chains callbacks, returns when the context is done, and
// says what a failure means.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// Connect makes one attempt to connect to one of cfg's servers. apply sets the transport's
// own options, callbacks included; the caller's options, user, are applied after it. The
// error matches a sentinel of package transport as far as the cause is known.
func Connect(ctx context.Context, cfg transport.Config, apply func(*nats.Options), user []nats.Option) (*nats.Conn, error) {
	urls, err := parseURLs(cfg.URL)
	if err != nil {
		return nil, err
	}
	o, err := buildOptions(apply, user)
	if err != nil {
		return nil, err
	}
	o.Servers = urls
	if o.Name == "" {
		o.Name = cfg.ClientID
	}
	nc, err := attempt(ctx, &o, urls)
	if err != nil {
		return nil, explain(err, cfg.URL)
	}
	return nc, nil
}

// attempt connects. A server that speaks HTTP is named; if it is the only one, as soon as it
// has kept silent for a while, since ctx may end before nats.go gives up.
func attempt(ctx context.Context, o *nats.Options, urls []string) (*nats.Conn, error) {
	if o.CustomDialer != nil {
		return await.Do(ctx, o.Connect, (*nats.Conn).Close)
	}
	trying, end := context.WithCancelCause(ctx)
	defer end(nil)
	if len(urls) == 1 {
		defer time.AfterFunc(silence, func() {
			if http := findHTTP(trying, urls); http != nil {
				end(http)
			}
		}).Stop()
	}
	nc, err := await.Do(trying, o.Connect, (*nats.Conn).Close)
	if err == nil {
		return nc, nil
	}
	if http := context.Cause(trying); errors.Is(http, errHTTP) {
		return nil, http
	}
	if ctx.Err() == nil && saysNothing(err) {
		if http := findHTTP(ctx, urls); http != nil {
			err = fmt.Errorf("%w: %w", http, err)
		}
	}
	return nil, err
}

// unauthorized are the answers of a server that refuses the credentials.
var unauthorized = []error{
	nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	nats.ErrNkeysNotSupported, nats.ErrNkeyAndUser, nats.ErrNoUserCB, nats.ErrUserButNoSigCB, nats.ErrNkeyButNoSigCB,
}

func isUnauthorized(err error) bool {
	return slices.ContainsFunc(unauthorized, func(target error) bool { return errors.Is(err, target) })
}

func explain(err error, url string) error {
	meaning := transport.ErrNoServer
	if errors.Is(err, nats.ErrNoServers) { // nats.go's words for a server that refuses connections
		err = fmt.Errorf("%w (%w)", syscall.ECONNREFUSED, err)
	}
	if isUnauthorized(err) {
		meaning = transport.ErrUnauthorized
	}
	return fmt.Errorf("%w at %s: %w", meaning, Redact(url), err)
}
