package natsconn

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sgtickets/common/transport"
)

// parseURLs splits a list of URLs as nats.go does. It refuses URLs on which nats.go would fail
// at every attempt, or which nats.go would silently misread.
func parseURLs(list string) ([]string, error) {
	var urls []string
	websocket := 0
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		u, err := parseURL(s)
		if err != nil {
			return nil, err
		}
		if u.Scheme == "ws" || u.Scheme == "wss" {
			websocket++
		}
		urls = append(urls, s)
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("%w URL: it is empty; give the server's, such as nats://localhost:4222", transport.ErrInvalid)
	}
	if websocket > 0 && websocket < len(urls) {
		return nil, fmt.Errorf("%w URL %s: WebSocket and other servers can't be mixed", transport.ErrInvalid, Redact(list))
	}
	return urls, nil
}

func parseURL(s string) (*url.URL, error) {
	plain := !strings.Contains(s, "://")
	if plain {
		s = "nats://" + s
	}
	u, err := url.Parse(s)
	if err != nil || strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
		// The error of package url quotes the whole URL, a password included.
		return nil, fmt.Errorf("%w URL %s: it can't be parsed; write it like nats://host:4222", transport.ErrInvalid, Redact(s))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%w URL %s: the host is missing; write it like nats://host:4222", transport.ErrInvalid, Redact(s))
	}
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > 65535) {
		return nil, fmt.Errorf("%w URL %s: there is no port %s; write it like nats://host:4222", transport.ErrInvalid, Redact(s), u.Port())
	}
	if plain && u.Path != "" && u.Path != "/" { // such as nats:/host or nats//host
		return nil, fmt.Errorf("%w URL %s: the scheme is not followed by ://; write it like nats://host:4222", transport.ErrInvalid, Redact(strings.TrimPrefix(s, "nats://")))
	}
	switch u.Scheme {
	// Node services are deployed with http://nats-srv:4222, since their client accepts any
	// scheme. tcp is common, too. nats.go treats both as nats.
	case "nats", "tls", "ws", "wss", "http", "tcp":
	default:
		return nil, fmt.Errorf("%w URL %s: unknown scheme %q; use nats, tls, ws or wss", transport.ErrInvalid, Redact(s), u.Scheme)
	}
	return u, nil
}

// LogHTTP logs that one of the URLs has the scheme http, if so: it is taken for nats.
func LogHTTP(log *slog.Logger, list string) {
	if slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
		u, err := parseURL(strings.TrimSpace(s))
		return err == nil && u.Scheme == "http"
	}) {
		log.Warn("http:// in the URL is taken for nats://, as the Node client does; write nats://", slog.String("url", Redact(list)))
	}
}

// Redact returns the URLs without user names, passwords and tokens.
func Redact(list string) string {
	urls := strings.Split(list, ",")
	for i, s := range urls {
		if at := strings.LastIndex(s, "@"); at >= 0 {
			start := 0
			if scheme := strings.Index(s[:at], "://"); scheme >= 0 {
				start = scheme + len("://")
			}
			urls[i] = s[:start] + "***" + s[at:]
		}
	}
	return strings.Join(urls, ",")
}
