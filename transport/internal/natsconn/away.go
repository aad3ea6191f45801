package natsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/backoff"
)

// Reminders spaces out the log lines that say that a server is still away.
var Reminders = backoff.Policy{First: time.Second, Max: 30 * time.Second}

// away logs at growing intervals that a connection is not restored yet, and why. Its zero
// value is ready; it is safe for concurrent use.
type away struct {
	mu    sync.Mutex
	timer *time.Timer // nil: the connection is there, or has ended
	since time.Time
	said  int
}

// begin says that the connection is gone.
func (a *away) begin(nc *nats.Conn, log *slog.Logger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		return
	}
	a.since, a.said = time.Now(), 0
	var timer *time.Timer
	timer = time.AfterFunc(Reminders.Full(1), func() {
		a.mu.Lock()
		stopped := a.timer != timer
		since := a.since
		a.mu.Unlock()
		if stopped || nc.IsConnected() {
			return
		}
		attrs := []slog.Attr{slog.Duration("away", time.Since(since).Round(time.Millisecond))}
		if err := whyAway(nc); err != nil {
			attrs = append(attrs, slog.Any("error", err))
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.timer != timer {
			return
		}
		log.LogAttrs(context.Background(), slog.LevelWarn, "still no connection to the NATS server", attrs...)
		a.said++
		timer.Reset(Reminders.Full(a.said + 1))
	})
	a.timer = timer
}

// end says that the connection is back, or has ended.
func (a *away) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// whyAway finds out what keeps the client from its servers, by an attempt of its own: what
// nats.go tells of its attempts can't be read without a data race. It returns nil if a NATS
// server answers, or if the caller has a dialer of its own.
func whyAway(nc *nats.Conn) error {
	if nc.Opts.CustomDialer != nil {
		return nil
	}
	var errs []error
	for _, server := range nc.Servers() {
		u, err := url.Parse(server)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), probeWait)
		c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port(u)))
		cancel()
		if err == nil {
			waits := nc.Opts.TLSHandshakeFirst || u.Scheme == "ws" || u.Scheme == "wss" // for the client to begin
			if !waits {
				err = greeted(c)
			}
			_ = c.Close()
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// greeted returns nil if a NATS server has taken the connection. What takes connections in its
// place, such as a load balancer or a proxy, closes them when no server is behind it.
func greeted(c net.Conn) error {
	const begin = "INFO"
	_ = c.SetReadDeadline(time.Now().Add(probeWait))
	answer := make([]byte, len(begin))
	if _, err := io.ReadFull(c, answer); err != nil {
		return fmt.Errorf("what listens at %s does not answer as a NATS server does: %w", c.RemoteAddr(), err)
	}
	if string(answer) != begin {
		return fmt.Errorf("what listens at %s does not answer as a NATS server does: it begins with %q", c.RemoteAddr(), answer)
	}
	return nil
}
