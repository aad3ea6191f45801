package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sgtickets/common/internal/plural"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/transport"
)

// StallTimeout is after what time the client is degraded if no handler of the listener has
// returned, though events wait: here, behind an event of the same [OrderingKey], or at the
// server, because as many events as the listener takes are with its handlers. Over JetStream
// the listener asks the server whether events wait there. It is degraded until a handler
// returns; see client.Client.Status. Readiness and liveness do not change.
//
// A handler that has run that long is logged, with the sequence of its event and how long it
// has run, also where others return. That is said again as long as it runs, at intervals that
// grow up to an hour. All that runs around a handler counts as the handler: its middleware,
// decoding, the ordering key's function, observers, the acknowledgement.
//
// Default: the longest of 5 minutes, 3 ack waits, and [HandlerTimeout] + 1 minute. Must be
// positive. Set more if handlers may take longer than that.
func StallTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option StallTimeout: %v; must be positive", transport.ErrInvalid, d)
		}
		o.stallTimeout = d
		return nil
	}
}

const (
	// backlogTimeout bounds the question to the broker whether events wait there.
	backlogTimeout = 5 * time.Second
	// backlogRetry is after what time, at the latest, the question is asked again that was not
	// answered.
	backlogRetry = time.Minute
	// mostHungLogged is how many handlers are logged one by one at a time.
	mostHungLogged = 16
)

// stalled is what the runner does about handlers that do not return. The runner's lock guards
// it.
type stalled struct {
	backlog  transport.BacklogCounter // nil: the broker can't be asked whether events wait there
	asking   bool                     // it is being asked
	degraded bool                     // the client was told
	returns  uint64                   // how many handlers had returned then
}

func (c *core) stalledReason() string {
	return "no handler of " + c.description() + " returns, though events wait"
}

// subscribed is told of the subscription.
func (r *runner) subscribed(sub transport.Subscription) {
	r.applyAckWait(sub.AckWait())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled.backlog, _ = sub.(transport.BacklogCounter)
}

// watchReading makes sure that a task is looked after whose key is about to be read.
func (r *runner) watchReading(t *schedule.Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scheduler.BeginReading(t, t.Received)
	r.lookAt(t.Received.Add(r.scheduler.StallTimeout()))
}

// checkHung logs handlers that do not return, and tells the client if events wait for them. It
// is called with r.mu held, as the methods below.
func (r *runner) checkHung(now time.Time) {
	due, next := r.scheduler.Hung(now)
	for i, h := range due {
		if i == mostHungLogged {
			r.log.Warn("further handlers have not returned for long", slog.Int("handlers", len(due)-i))
			break
		}
		r.warnHung(h, now)
	}
	if !next.IsZero() {
		r.lookAt(next)
	}
	r.checkStall(now, len(due) > 0)
	if r.stalled.degraded {
		if n := r.scheduler.DropForgotten(now); n > 0 {
			r.log.Warn("events that waited for a handler have gone to other members, since their ack waits expired", slog.Int("events", n))
		}
	}
}

func (r *runner) warnHung(h schedule.Hung, now time.Time) {
	about := []any{
		slog.Uint64("sequence", h.Task.Message.Sequence), slog.Int("attempt", h.Task.Attempt),
		slog.Duration("running", now.Sub(h.Task.Begun).Round(time.Millisecond)), slog.Duration("stall_timeout", r.scheduler.StallTimeout()),
	}
	if h.Reading {
		r.log.Warn("the ordering key of an event has not been read for long, and no further event comes in: "+
			"find out what the codec, the key's function or an observer waits for", about...)
		return
	}
	r.log.Warn("handler has not returned for long, and can't be ended: find out what it waits for; it has to heed its context, which HandlerTimeout ends; "+
		"if handlers may take that long, raise StallTimeout", about...)
}

// checkStall tells the client if no handler returns though events wait, and again says why if
// the log has just said so.
func (r *runner) checkStall(now time.Time, again bool) {
	if r.stalled.degraded && !again {
		return
	}
	stall := r.scheduler.Stall()
	due := stall.Since.Add(r.scheduler.StallTimeout())
	switch {
	case r.stalled.degraded:
		r.degradeStalled(&stall, 0, now)
	case stall.Since.IsZero():
	case due.After(now):
		r.lookAt(due)
	case stall.AtBroker && r.stalled.backlog != nil:
		if !r.stalled.asking {
			r.stalled.asking = true
			go r.askBacklog(r.stalled.backlog)
		}
	default:
		r.degradeStalled(&stall, 0, now)
	}
}

// askBacklog asks the broker whether events wait there, and tells the client if they do.
func (r *runner) askBacklog(backlog transport.BacklogCounter) {
	ctx, cancel := context.WithTimeout(r.handlers, backlogTimeout)
	defer cancel()
	n, err := backlog.Backlog(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled.asking = false
	if r.ended {
		return
	}
	now, timeout := time.Now(), r.scheduler.StallTimeout()
	stall := r.scheduler.Stall()
	switch {
	case errors.Is(err, transport.ErrUnsupported), errors.Is(err, transport.ErrForbidden):
		r.stalled.backlog = nil // they may wait
		r.checkStall(now, false)
	case err != nil:
		r.lookAt(now.Add(min(timeout, backlogRetry)))
	case n == 0:
		r.scheduler.NothingWaits(now)
		r.lookAt(now.Add(timeout))
	case stall.Since.IsZero() || stall.Since.Add(timeout).After(now): // a handler has returned meanwhile
		r.checkStall(now, false)
	default:
		r.degradeStalled(&stall, n, now)
	}
}

func (r *runner) degradeStalled(stall *schedule.Stall, atBroker uint64, now time.Time) {
	if r.ended {
		return
	}
	r.stalled.degraded, r.stalled.returns = true, r.scheduler.Returns()
	var waits string
	switch {
	case stall.Waiting > 0:
		waits = plural.Count(stall.Waiting, "event waits", "events wait") + " here"
	case atBroker > 0:
		waits = plural.Count(int(min(atBroker, 1<<31-1)), "event waits", "events wait") + " at the server"
	default:
		waits = "others may wait at the server"
	}
	var running []string
	for i, t := range stall.Tasks {
		if i == mostNamed {
			running = append(running, fmt.Sprintf("%d more", len(stall.Tasks)-i))
			break
		}
		running = append(running, fmt.Sprintf("sequence %d for %v", t.Message.Sequence, now.Sub(t.Begun).Round(time.Second)))
	}
	r.core.session.Degrade(r, r.core.stalledReason(), fmt.Errorf(
		"%s with handlers that have not returned (%s), and %s: find out what they wait for, and have them heed their context, which HandlerTimeout ends; "+
			"or raise StallTimeout (%v) if they may take that long",
		plural.Count(len(stall.Tasks), "event is", "events are"), strings.Join(running, ", "), waits, r.scheduler.StallTimeout()))
}

// recoverStalled tells the client when a handler has returned.
func (r *runner) recoverStalled() {
	if r.stalled.degraded && r.scheduler.Returns() != r.stalled.returns {
		r.stalled.degraded = false
		r.core.session.Recover(r, r.core.stalledReason())
	}
}

func (r *runner) withdrawStalled() {
	if r.stalled.degraded {
		r.stalled.degraded = false
		r.core.session.Withdraw(r, r.core.stalledReason())
	}
}
