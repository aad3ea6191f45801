package natsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// probeWait bounds how long one server is asked whether it speaks HTTP.
const probeWait = 500 * time.Millisecond

// silence is how long a server may take to begin, before it is asked whether it speaks HTTP.
const silence = 300 * time.Millisecond

// errHTTP means that HTTP is spoken at a URL, as on the monitoring port of a NATS server.
var errHTTP = errors.New("what listens there speaks HTTP, as the monitoring port of a NATS server does (8222, usually): give the port for clients (4222, usually)")

// saysNothing tells whether an attempt to connect failed because something listens at the URL
// that does not begin as a NATS server does. Who speaks HTTP waits for a request.
func saysNothing(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, nats.ErrNoInfoReceived)
}

// findHTTP returns an error that matches errHTTP, and names the server, if one of the URLs
// speaks HTTP.
func findHTTP(ctx context.Context, urls []string) error {
	for _, s := range urls {
		u, err := parseURL(s)
		if err != nil || u.Scheme == "ws" || u.Scheme == "wss" {
			continue // a WebSocket begins with HTTP
		}
		if speaksHTTP(ctx, u) {
			return fmt.Errorf("%s: %w", u.Host, errHTTP)
		}
	}
	return nil
}

func speaksHTTP(ctx context.Context, u *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port(u)))
	if err != nil {
		return false
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := fmt.Fprint(c, "HEAD / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	const begin = "HTTP/"
	answer := make([]byte, len(begin))
	_, err = io.ReadFull(c, answer)
	return err == nil && string(answer) == begin
}

// port returns the port of a URL, or the one that nats.go takes without.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "4222"
}
