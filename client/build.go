package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/internal/plural"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

var (
	// reconnect spaces out the attempts to connect.
	reconnect = backoff.Policy{First: 100 * time.Millisecond, Max: time.Second}
	// reminders spaces out the log lines about attempts that fail for the same reason.
	reminders = backoff.Policy{First: time.Second, Max: 30 * time.Second}
)

// Build connects to the cluster as the client clientID and returns the client.
//
// clusterID is the one that the streaming server was started with (-cid); over JetStream it
// names the stream. clientID is unique among the clients of the cluster, and made of
// letters, digits, '-' and '_', 128 at most; [ID] makes one. url names a server, or several
// separated by commas, with the scheme nats, tls, ws or wss.
//
// Build tries until it is connected or ctx is done. It pauses for 0.1 s to 1 s between two
// attempts. It logs the first attempt that failed, with the cause and what to check, and then
// others at intervals that grow from 1 s to 30 s, or when there is another cause. When ctx is done, the
// error matches both ctx's and the cause of the last attempt: [ErrNoServer], [ErrNoCluster],
// [ErrClientIDTaken] or [ErrForbidden]. An error that waiting can't change is returned at
// once: [ErrInvalid] for an option, a URL or an ID that is wrong in itself, and for a stream
// whose subjects or settings JetStream refuses; and [ErrUnauthorized] for wrong credentials.
//
// If ctx ends in the middle of an attempt, the NATS Streaming server may keep the client ID
// registered until it notices that nobody answers, or until another Build takes the ID over,
// as it does from a process that has crashed. Build does not ask the server to forget the
// ID: the protocol's close request names the client ID alone, and could end a successor that
// has connected under the same ID.
func Build(ctx context.Context, clusterID, clientID, url string, opts ...Option) (*Client, error) {
	refuse := func(o *options) error {
		if o.clientID != "" {
			return fmt.Errorf("%w option ClientID: it is for FromEnv; Build takes the client ID as its argument", transport.ErrInvalid)
		}
		return nil
	}
	return build(ctx, clusterID, fixedID(clientID), url, append(slices.Clone(opts), refuse))
}

func build(ctx context.Context, clusterID string, ids identity, url string, opts []Option) (*Client, error) {
	if ctx == nil {
		return nil, fmt.Errorf("build client: %w", errNoContext)
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, fmt.Errorf("build client: %w", err)
	}
	if o.clientID != "" {
		ids = fixedID(o.clientID)
	}
	if err := checkArguments(clusterID, ids.given); err != nil {
		return nil, fmt.Errorf("build client: %w", err)
	}
	cfg := transport.Config{ClusterID: clusterID, ClientID: ids.next(), Subjects: o.stored(), DeadLetters: deadLetters, URL: url, Logger: o.logger}
	conn, m, err := connect(ctx, o.dialer(), &cfg, ids, o.adviceFor(&cfg))
	if err != nil {
		return nil, fmt.Errorf("build client %q: %w", cfg.ClientID, err)
	}
	shared := session.New(conn, o.logger, o.window, ids.generated, m.record)
	shared.Defaults, shared.LoggedPayload, shared.Observers = o.defaults, o.loggedBytes, o.observers
	shared.Announce = func(a session.Announcement) { m.announce(announced(a)) }
	return &Client{
		clusterID: clusterID, clientID: cfg.ClientID, closed: make(chan struct{}), monitor: m, session: shared, closeTimeout: o.closeTimeout,
	}, nil
}

// connect makes attempts until one succeeds. If a generated client ID is taken, connect goes
// on to the next one, and sets cfg.ClientID to it. Each attempt has a monitor of its own, so
// that late events of a failed attempt don't change the status of a later one.
func connect(ctx context.Context, dial transport.Dialer, cfg *transport.Config, ids identity, advice func(error) string) (transport.Conn, *monitor, error) {
	var last error
	reminder, began := backoff.Reminder{Intervals: reminders}, time.Now()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return nil, nil, gaveUp(await.Cause(ctx), last, attempt-1, advice)
		}
		m := newMonitor(cfg.Logger, cfg.ClientID)
		cfg.Notify = m.notify
		conn, err := dial(ctx, *cfg)
		if err == nil && conn == nil {
			return nil, nil, fmt.Errorf("%w option Transport: its dialer returned neither a connection nor an error", transport.ErrInvalid)
		}
		if err == nil {
			cfg.Logger.Info("connected", slog.String("cluster", cfg.ClusterID), slog.String("client", cfg.ClientID), slog.Int("attempt", attempt))
			m.begin()
			return conn, m, nil
		}
		if transport.Permanent(err) {
			return nil, nil, err
		}
		if ctx.Err() == nil || last == nil {
			last = err // an attempt that the end of ctx cut short says less than the one before
		}
		if errors.Is(err, transport.ErrClientIDTaken) && ids.generated {
			cfg.ClientID = ids.next()
		}
		delay := reconnect.Delay(attempt)
		if check, now := advice(err), time.Now(); reminder.Due(now, check) {
			cfg.Logger.Warn("not connected yet", slog.Int("attempt", attempt), slog.Any("error", err), slog.String("check", check),
				slog.Duration("waited", now.Sub(began).Round(time.Millisecond)), slog.Duration("retry_in", delay.Round(time.Millisecond)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

func gaveUp(ended, last error, attempts int, advice func(error) string) error {
	tries := plural.Count(attempts, "attempt", "attempts")
	switch {
	case last == nil:
		return ended
	case errors.Is(last, ended): // ctx ended the only attempt
		return fmt.Errorf("gave up after %s: %w; check %s", tries, last, advice(last))
	}
	return fmt.Errorf("gave up after %s (%w): %w; check %s", tries, ended, last, advice(last))
}

// advice says what to check when an attempt failed.
func (o *options) advice(err error) string {
	var untrusted *tls.CertificateVerificationError
	var alert *net.OpError // the only sign in package tls that the server broke off the handshake
	switch {
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "that the server is set up for TLS, or connect without: no tls:// in the URL, no nats.Secure, none of NATS_CA, NATS_CERT and NATS_KEY"
	case errors.As(err, &untrusted):
		return "that this host trusts the server's certificate (option NATS with nats.RootCAs, or NATS_CA), and that it is made out to the host in the URL"
	case errors.As(err, &alert) && alert.Op == "remote error", errors.Is(err, nats.ErrTLS):
		return "what the server demands of TLS, such as a client certificate (option NATS with nats.ClientCert, or NATS_CERT and NATS_KEY)"
	case errors.Is(err, transport.ErrNoServer), errors.Is(err, transport.ErrConnectionLost):
		return "that a NATS server listens at the URL and the network lets this host reach it"
	case errors.Is(err, transport.ErrNoCluster) && o.jetStream:
		return "that the server at the URL has JetStream, that the cluster ID is the stream's name, and that the stream has a leader"
	case errors.Is(err, transport.ErrNoCluster):
		return "that the cluster ID is the one the streaming server was started with (-cid), and that it is a streaming server"
	case errors.Is(err, transport.ErrClientIDTaken):
		return "that no other process uses this client ID, and give each its own (NATS_CLIENT_ID)"
	case errors.Is(err, transport.ErrForbidden) && o.jetStream:
		return "that the server grants this user the permissions that a JetStream client needs"
	case errors.Is(err, transport.ErrForbidden):
		return "that the server grants this user the permissions that a streaming client needs"
	case errors.Is(err, transport.ErrRefused) && o.jetStream:
		return "what the server says it lacks, such as room within the limits of the account, storage or servers for the replicas"
	default:
		return "the server's log"
	}
}
