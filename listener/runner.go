package listener

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/listener/internal/versions"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// deadLetterBackoff spaces out the attempts to store a dead letter.
var deadLetterBackoff = backoff.Policy{First: time.Second, Max: 30 * time.Second}

// runner is one Listen, from subscribing to the end of the drain: the goroutines and
// timers around a scheduler.
type runner struct {
	core  *core
	log   *slog.Logger
	began time.Time

	// handlers is the context of the handlers; endHandlers ends it with the drain.
	handlers    context.Context //nolint:containedctx // it is what the runner is about: one for all its handlers
	endHandlers context.CancelFunc

	mu            sync.Mutex // release it with unlock, which performs what the scheduler has decided
	scheduler     *schedule.Scheduler
	workers       int           // goroutines that run handlers
	activeEffects int           // goroutines that perform what else the scheduler has decided
	unsettled     int           // deliveries with ManualAck that are not settled
	idle          chan struct{} // closed when all three are zero; set by the drain
	delivered     bool          // the first event has come
	ended         bool          // nothing can be settled any more

	extendTimer *time.Timer // runs while events are here, where their ack wait can be begun anew
	alarm       alarm       // for what the scheduler waits for
	watch       watch       // for handlers that take too long
	pace        pace
	delayed     delayed
	degraded    degraded                     // what the client is told
	stalled     stalled                      // handlers that do not return
	undecodable undecodable                  // events in a row that can't be decoded
	reader      *versions.Reader             // tells others how far this one has read; nil without InVersionOrder
	markers     map[subjects.Subject]*marker // of events that may have ended processes, by the subject of the marks; nil until the first
	marking     context.Context              //nolint:containedctx // ends with the drain: what it bounds is begun by the scheduler's effects
	stopMarking context.CancelFunc           // nil until the first
	resting     atomic.Int64                 // events that are here and that no worker could begin
}

func newRunner(ctx context.Context, c *core) *runner {
	r := &runner{core: c, log: c.log, began: time.Now(), scheduler: schedule.New(c.rules(), c.options.ackWait)}
	r.undecodable.stop = make(chan error, 1)
	r.handlers, r.endHandlers = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// rules are what the options and the broker make of the scheduler.
func (c *core) rules() schedule.Rules {
	features, o := c.session.Conn.Features(), c.options
	return schedule.Rules{
		Concurrency: o.concurrency, MaxInFlight: o.maxInFlight, HandlerTimeout: o.timeout,
		MaxAttempts: o.maxAttempts, Backoff: o.backoff.Delay, LongestBackoff: o.backoff.Full, DeadLetterBackoff: deadLetterBackoff.Delay,
		GapBackoff: versions.RetryAfter, VersionGapTimeout: o.versionGapTimeout,
		StallTimeout: o.stallTimeout, StopAtUnreadable: o.stopAfterUndecodable,
		CanExtend: features.InProgress, CanNak: features.Nak,
		NoGroup: c.group == "", DeadLetters: !o.noDeadLetters, SuspectAfter: c.suspectAfter(), SuspectAge: c.suspectAge(), SuspectsTurn: suspectsTurn, AnyOf: rand.IntN,
	}
}

// applyAckWait is told what the broker applies: it may know the durable with another ack
// wait than the listener has.
func (r *runner) applyAckWait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scheduler.SetAckWait(d)
	r.pace.ackWait.Store(int64(d))
	r.warnOfSettings()
}

// deliver takes a delivery in. The transport calls it for one at a time, and must not be
// kept waiting.
func (r *runner) deliver(d transport.Delivery) {
	if !r.core.raw {
		d.Header = withAttributes(&d)
	}
	t := schedule.NewTask(d, time.Now())
	if r.core.raw {
		t.ForgetEventID()
	}
	if r.core.passOverMark(&d) {
		return
	}
	if r.core.eventType.key != nil || r.observed() {
		r.watchReading(t)
	}
	r.tellDelivered(t)
	r.readKey(t)
	r.mu.Lock()
	if !r.delivered {
		r.delivered = true
		r.checkPosition(&t.Delivery)
	}
	delete(r.delayed, t.Message)
	r.scheduler.Deliver(t, t.Received)
	r.unlockAsync()
}

// readKey sets the ordering key of a task. The key is in the event, so that it has to be
// decoded before it is known what it must wait for.
func (r *runner) readKey(t *schedule.Task) {
	if r.core.eventType.key == nil {
		return
	}
	event, err := r.core.eventType.decode(&t.Delivery)
	if err == nil {
		r.decoded()
		t.Event, t.Keyed = event, true
		t.Key, err = r.core.eventType.key(event)
	}
	if err != nil {
		f := unreadable(err)
		t.Keyed, t.Failed = false, &f
	}
}

// interrupted: the connection was lost. The transport calls it.
func (r *runner) interrupted() {
	if r.observed() {
		r.tell(observe.Observation{Kind: observe.Interrupted, Subject: r.core.subject, Group: r.core.group})
	}
	r.mu.Lock()
	r.scheduler.Interrupt(time.Now())
	r.interruptMarkers()
	r.unlockAsync()
}

// checkPosition logs when the first event shows that StartAt had no effect.
func (r *runner) checkPosition(first *transport.Delivery) {
	if contradicts(r.core.options.start, first, r.began) {
		r.log.Warn("option StartAt had no effect: the server knew the durable or the group before, and goes on where it stood",
			slog.String("start_at", r.core.options.start.String()),
			slog.Uint64("sequence", first.Sequence), slog.Time("stored", first.Timestamp))
	}
}

// settler is that of the latest delivery of the event.
func (r *runner) settler(t *schedule.Task) (transport.Settler, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil, ErrSubscriptionClosed
	}
	return r.scheduler.LatestSettler(t), nil
}
