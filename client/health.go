package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/sgtickets/common/internal/await"
)

// healthTimeout bounds Healthy where its context has no deadline.
const healthTimeout = 5 * time.Second

// Healthy makes a round trip to the broker, and then runs the checks of all components
// ([Component.Check]). It returns nil if the broker answers and no check fails, and
// otherwise what is wrong; the error matches [ErrClosed] or [ErrConnectionLost] once the
// client is over. Healthy returns when ctx is done at the latest, and after 5 s where ctx
// has no deadline. A client that is [Degraded] is healthy: the rest of it works. Healthy is
// safe for concurrent use, and meant for readiness probes; [HealthHandler] serves one.
func (c *Client) Healthy(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, healthTimeout)
		defer cancel()
	}
	err := await.WithGrace(ctx, c.session.Conn.Ping)
	if err == nil {
		if err = c.components.healthy(ctx); err != nil {
			return fmt.Errorf("client %q: %w", c.clientID, err)
		}
		return nil
	}
	s := c.Status()
	for _, reason := range s.Reasons {
		if s.State == Reconnecting && reason.Err != nil {
			s.Err = reason.Err // it says more than that the connection is gone
		}
	}
	switch {
	case s.State == Closed:
		return fmt.Errorf("client %q: %w", c.clientID, s.Err)
	case s.State == Reconnecting && s.Err != nil:
		return fmt.Errorf("client %q: reconnecting for %v (%w): %w", c.clientID, lasted(s), s.Err, err)
	case s.State == Reconnecting:
		return fmt.Errorf("client %q: reconnecting for %v: %w", c.clientID, lasted(s), err)
	}
	return fmt.Errorf("client %q: no round trip to the broker: %w", c.clientID, err)
}

func lasted(s Status) time.Duration { return time.Since(s.Since).Round(100 * time.Millisecond) }

// HealthHandler serves GET and HEAD for a readiness probe: 200 while c is
// [Client.Healthy], and 503 otherwise, with a status in JSON: state, since, reasons, and,
// with 503, the error. What stands before an @ in an error, as passwords do in a URL, is
// left out.
//
// Each request is a round trip to the broker, which ends after 5 s or when the request is
// cancelled. Give the probe that long: Kubernetes gives up after 1 s, unless timeoutSeconds
// says otherwise. Don't use the handler for a liveness probe: the client reconnects by
// itself, and a restart only loses time.
func HealthHandler(c *Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		code := http.StatusOK
		err := c.Healthy(r.Context())
		if err != nil {
			code = http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(report(c.Status(), err)) // the caller may have gone
		}
	})
}

type healthReport struct {
	State   string         `json:"state"`
	Since   time.Time      `json:"since"`
	Reasons []healthReason `json:"reasons,omitempty"`
	Error   string         `json:"error,omitempty"`
}

type healthReason struct {
	Reason string    `json:"reason"`
	Error  string    `json:"error,omitempty"`
	Since  time.Time `json:"since"`
}

func report(s Status, err error) healthReport {
	r := healthReport{State: s.State.String(), Since: s.Since.UTC(), Error: public(err)}
	for _, reason := range s.Reasons {
		r.Reasons = append(r.Reasons, healthReason{reason.Text, public(reason.Err), reason.Since.UTC()})
	}
	return r
}

// secret matches what stands before the host of a URL: a user and a password, or a token.
var secret = regexp.MustCompile(`[^\s"]+@`)

// public returns the text of an error without secrets.
func public(err error) string {
	if err == nil {
		return ""
	}
	return secret.ReplaceAllString(err.Error(), "***@")
}
