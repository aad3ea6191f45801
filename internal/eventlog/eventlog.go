// Package eventlog logs what happens to a connection. Nothing else does: a transport whose
// Config has a Notify calls that instead, and its owner logs the event.
package eventlog

import (
	"context"
	"log/slog"

	"github.com/sgtickets/common/transport"
)

// Write logs e, except the loss of a connection for good: the transport that gave it up has
// logged why.
func Write(log *slog.Logger, e transport.Event) {
	level, text := describe(e.Kind)
	if e.Kind == transport.Recovered && e.Err != nil {
		level, text = slog.LevelInfo, "no longer degraded"
	}
	if e.Kind == transport.Closed && e.Err != nil {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if e.Server != "" {
		attrs = append(attrs, slog.String("url", e.Server))
	}
	if r := e.Removed; r.Count > 0 {
		attrs = append(attrs, slog.String("subject", r.Subject), slog.String("group", r.Group), slog.String("durable", r.Durable),
			slog.Uint64("first", r.First), slog.Uint64("last", r.Last), slog.Uint64("count", r.Count), slog.Bool("at_most", r.AtMost))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	log.LogAttrs(context.Background(), level, text, attrs...) //nolint:sloglint // each kind has a constant text, below
}

// describe returns the level and the constant text of an event of that kind.
func describe(k transport.EventKind) (slog.Level, string) {
	switch k {
	case transport.Disconnected:
		return slog.LevelWarn, "connection to the NATS server lost; reconnecting"
	case transport.Reconnected:
		return slog.LevelInfo, "reconnected to the NATS server"
	case transport.SessionReplaced:
		return slog.LevelWarn, "the server had given the client up; a new session has taken the place of the old one"
	case transport.StoreLost:
		return slog.LevelError, "the server has lost what it had stored"
	case transport.ServersDiscovered:
		return slog.LevelInfo, "the cluster told of servers that were not known"
	case transport.LameDuck:
		return slog.LevelWarn, "the NATS server is about to shut down"
	case transport.SlowConsumer:
		return slog.LevelWarn, "messages dropped, since they were not taken fast enough"
	case transport.AsyncError:
		return slog.LevelWarn, "asynchronous error of the NATS connection"
	case transport.Degraded:
		return slog.LevelWarn, "degraded: the connection works, but not all of it"
	case transport.Recovered:
		return slog.LevelInfo, "recovered"
	case transport.Closed:
		return slog.LevelInfo, "closed"
	case transport.MessagesRemoved:
		return slog.LevelError, "the server removed events before a listener saw them"
	case transport.MessagesGivenUp:
		return slog.LevelError, "the server has given an event up, and delivers it no more"
	default:
		return slog.LevelWarn, k.String()
	}
}
