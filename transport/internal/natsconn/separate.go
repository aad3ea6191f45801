package natsconn

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// separateSuffix is appended to the name of a separate connection, so that the
// server's list of connections tells it from the one that carries events.
const separateSuffix = "-nats"

// Separate keeps a NATS connection for the author of a client, separate from the
// connection that carries events: what the author does to it, such as closing or
// draining it, or handlers that block, does not reach the events. The connection is
// opened when it is first asked for, and opened again when it was closed. A transport
// embeds a Separate to offer the connection, and closes it with [Separate.CloseNATS].
// It is safe for concurrent use.
type Separate struct {
	cfg  transport.Config
	user []nats.Option

	mu      sync.Mutex
	current *nats.Conn              // what was opened last; nil: nothing yet
	opened  map[*nats.Conn]struct{} // current, and those before it that may still drain
	dialing *dialing                // nil: nobody waits for a connection
	closed  bool
}

// NewSeparate returns a Separate that connects as cfg and user say. user are the options
// of the connection that carries events.
func NewSeparate(cfg transport.Config, user []nats.Option) *Separate {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Separate{cfg: cfg, user: user, opened: make(map[*nats.Conn]struct{})}
}

// NATSConn returns the connection. If there is none, or if the last one was closed or
// drains, NATSConn opens one: it tries until ctx is done, unless no further attempt can
// succeed. Callers that wait at the same time share the attempts. After CloseNATS it
// returns transport.ErrClosed.
func (s *Separate) NATSConn(ctx context.Context) (*nats.Conn, error) {
	s.mu.Lock()
	nc := s.current
	s.mu.Unlock()
	if nc != nil {
		end, err := endOf(ctx, nc)
		switch {
		case err != nil:
			return nil, err
		case end == notEnded && s.isClosed():
			return nil, transport.ErrClosed
		case end == notEnded:
			return nc, nil
		case end == closed:
			s.forget(nc)
		}
	}
	d, err := s.join(nc)
	if err != nil {
		return nil, err
	}
	defer s.leave(d)
	select {
	case <-d.done:
		return d.nc, d.err
	case <-ctx.Done():
		if last := s.lastError(d); last != nil {
			return nil, fmt.Errorf("%w: %w", await.Cause(ctx), last)
		}
		return nil, fmt.Errorf("%w at %s: the first attempt has not ended: %w", transport.ErrNoServer, Redact(s.cfg.URL), await.Cause(ctx))
	}
}

// CloseNATS closes what NATSConn has opened, and ends the attempts to open more, for which
// it does not wait. It returns when the connections are closed, or when ctx is done; then
// they go on to close by themselves, and the error says so.
func (s *Separate) CloseNATS(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	opened := s.opened
	s.opened = nil
	if s.dialing != nil {
		s.dialing.cancel()
		s.dialing = nil
	}
	s.mu.Unlock()
	if len(opened) == 0 {
		return nil
	}
	err := await.WithGrace(ctx, func(context.Context) error {
		var closing sync.WaitGroup
		for nc := range opened {
			closing.Go(nc.Close) // it waits while a write is under way
		}
		closing.Wait()
		return nil
	})
	if err != nil {
		return fmt.Errorf("the NATS connection beside the one that carries events is not closed yet: %w", err)
	}
	return nil
}

// connectionEnd says whether a connection can still be used.
type connectionEnd int

const (
	notEnded connectionEnd = iota
	draining               // it closes by itself soon
	closed
)

// endOf asks nats.go, which may hold the lock of the connection for seconds while it
// reconnects.
func endOf(ctx context.Context, nc *nats.Conn) (connectionEnd, error) {
	return await.DoWithGrace(ctx, func(context.Context) (connectionEnd, error) {
		switch {
		case nc.IsClosed():
			return closed, nil
		case nc.IsDraining():
			return draining, nil
		default:
			return notEnded, nil
		}
	}, nil)
}

func (s *Separate) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Separate) forget(nc *nats.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.opened, nc)
}

// connect makes one attempt.
func (s *Separate) connect(ctx context.Context) (*nats.Conn, error) {
	w := &Watch{Log: s.cfg.Logger} // without Notify: what happens here says nothing of the events
	w.Closed = func(err error) {
		if s.isClosed() {
			return
		}
		var attrs []slog.Attr
		if err != nil {
			attrs = append(attrs, slog.Any("error", err))
		}
		w.Log.LogAttrs(context.Background(), slog.LevelInfo, "the NATS connection closed; it is opened again when it is asked for", attrs...)
	}
	named := func(o *nats.Options) error {
		if o.Name == "" {
			o.Name = s.cfg.ClientID
		}
		o.Name += separateSuffix
		w.Log = s.cfg.Logger.With(slog.String("connection", o.Name))
		// One that the caller drained has been replaced, and nobody looks at it again.
		o.ClosedCB = chain(s.forget, o.ClosedCB)
		return nil
	}
	user := make([]nats.Option, 0, len(s.user)+1)
	nc, err := Connect(ctx, s.cfg, w.Apply, append(append(user, s.user...), named))
	if err == nil {
		w.Log.Info("opened a NATS connection beside the one that carries events", slog.String("url", nc.ConnectedUrlRedacted()))
	}
	return nc, err
}
