package stan

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// Option sets an option of a [Dialer]. What is wrong with one is the error of each attempt
// to connect, and matches transport.ErrInvalid.
type Option func(*options) error

type options struct {
	nats []nats.Option
}

// NATS passes options to the NATS connection below the streaming one: TLS,
// credentials, a dialer, pings and so on. Callbacks are called as well as
// those of this package. Not every option is possible; see [Dialer].
func NATS(opts ...nats.Option) Option {
	return func(o *options) error {
		o.nats = append(o.nats, opts...)
		return nil
	}
}

// Dialer returns the dialer of this transport. Connecting fails with
// transport.ErrInvalid if the cluster ID, the client ID or a URL is not valid, and if a NATS
// option sets what this package has to decide by itself: the servers, reconnecting, its
// buffer, and retrying the first connect.
func Dialer(opts ...Option) transport.Dialer {
	var o options
	wrong := option.Apply(transport.ErrInvalid, &o, opts)
	var first sync.Once // of the attempts
	return func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
		if wrong != nil {
			return nil, wrong
		}
		if err := validate(cfg); err != nil {
			return nil, err
		}
		if cfg.Logger == nil {
			cfg.Logger = slog.New(slog.DiscardHandler)
		}
		first.Do(func() { natsconn.LogHTTP(cfg.Logger, cfg.URL) })
		return connect(ctx, cfg, o)
	}
}

// legalClientID is the server's own rule (clientIDRegEx of nats-streaming-server).
var legalClientID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// longestClientID is our limit. The server sets none, but it puts the ID into each of its
// messages about the client, and into its store and its log.
const longestClientID = 128

func validate(cfg transport.Config) error {
	if cfg.ClusterID == "" {
		return fmt.Errorf("%w cluster ID: it is empty; give the one that the server was started with (-cid)", transport.ErrInvalid)
	}
	// The server holds its cluster ID to the rules of channel names.
	if err := subjects.Valid(cfg.ClusterID); err != nil {
		return fmt.Errorf("%w cluster ID %q: %w", transport.ErrInvalid, cfg.ClusterID, err)
	}
	if cfg.ClientID == "" {
		return fmt.Errorf("%w client ID: it is empty; give one that no other client of the cluster has", transport.ErrInvalid)
	}
	if len(cfg.ClientID) > longestClientID {
		return fmt.Errorf("%w client ID %.20q…: it has %d characters, and may have %d", transport.ErrInvalid, cfg.ClientID, len(cfg.ClientID), longestClientID)
	}
	if !legalClientID.MatchString(cfg.ClientID) {
		return fmt.Errorf("%w client ID %q: only letters A to Z, digits, '-' and '_' are allowed", transport.ErrInvalid, cfg.ClientID)
	}
	return nil
}
