package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// Dialer returns the dialer of this transport. Connecting fails with
// transport.ErrInvalid if an option, the cluster ID, the client ID or a URL is not valid, or if
// an existing stream differs from what was asked for in a setting that can't be changed.
func Dialer(opts ...Option) transport.Dialer {
	var first sync.Once // of the attempts
	return func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
		o, err := newOptions(opts)
		if err != nil {
			return nil, err
		}
		if err := validate(cfg); err != nil {
			return nil, err
		}
		for _, name := range cfg.Subjects {
			if err := validSubject(name); err != nil {
				return nil, fmt.Errorf("%w subjects: %w", transport.ErrInvalid, err)
			}
		}
		o.configured = cfg.Subjects
		if cfg.Logger == nil {
			cfg.Logger = slog.New(slog.DiscardHandler)
		}
		first.Do(func() { natsconn.LogHTTP(cfg.Logger, cfg.URL) })
		return connect(ctx, cfg, o)
	}
}

func validate(cfg transport.Config) error {
	switch {
	case cfg.ClusterID == "":
		return fmt.Errorf("%w cluster ID: it is empty; give the name of the stream", transport.ErrInvalid)
	case strings.ContainsAny(cfg.ClusterID, " \t\r\n\f.*>/\\"), len(cfg.ClusterID) > maxName:
		return fmt.Errorf("%w cluster ID %q: it names the stream, in which spaces, '.', '*', '>', '/' and '\\' are not allowed, nor more than %d bytes",
			transport.ErrInvalid, cfg.ClusterID, maxName)
	case cfg.ClientID == "":
		return fmt.Errorf("%w client ID: it is empty; give one that tells this client from others", transport.ErrInvalid)
	default:
		return nil
	}
}
