package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// redriver does the work of one Redrive. A raw listener calls handle for one dead letter
// at a time. The goroutine of run takes the outcomes of the publishes, and decides when the
// Redrive is over.
type redriver struct {
	client  *client.Client
	session *session.Session
	options options
	group   string
	subject subjects.Subject
	from    subjects.Subject // of the dead letters
	last    uint64           // sequence of the newest dead letter when the Redrive began
	log     *slog.Logger
	counter *counter

	features    transport.Features
	ackWait     time.Duration
	maxInFlight int

	wake    chan struct{} // has an element when there are new results
	changed *sync.Cond    // on mu: publishing or ending has changed

	mu          sync.Mutex // not held during anything that may take a while
	deadLetters map[messageKey]*deadLetter
	leftAlone   map[messageKey]struct{}
	events      map[string]*event // by ID of the dead letter
	publishing  int               // how many publishes have no outcome yet
	results     []publishResult
	firstErr    error // why the first event failed that could not be put back
	handling    bool  // handle is called for a dead letter that has not come before
	ending      bool  // no further event is put back
	cause       error // why the Redrive ends before it is done
	// quietSince is when the last dead letter was handled that had not come before, or when
	// the wait for one began again.
	quietSince time.Time
}

// newRedriver returns the redriver for the dead letters up to the sequence last.
func newRedriver(c *client.Client, s *session.Session, group string, subject, from subjects.Subject, last uint64) *redriver {
	r := &redriver{
		client: c, session: s, group: group, subject: subject, from: from, last: last,
		log:      s.Log.With(slog.String("subject", string(subject)), slog.String("group", group)),
		features: s.Conn.Features(), ackWait: ackWait, maxInFlight: maxInFlight,
		deadLetters: make(map[messageKey]*deadLetter), leftAlone: make(map[messageKey]struct{}), events: make(map[string]*event),
		wake: make(chan struct{}, 1), quietSince: time.Now(),
	}
	r.changed = sync.NewCond(&r.mu)
	if !r.features.Nak {
		// A dead letter that is left alone stays unacknowledged. It must not keep others from
		// coming, neither by the room that it takes nor by coming again all the time.
		r.ackWait += time.Duration(last/resentPerSecond) * time.Second //nolint:gosec // G115: there are not that many
		r.maxInFlight = int(min(last, math.MaxInt32-spareInFlight)) + spareInFlight
	}
	return r
}

// run listens to the dead letters until all are decided, or ctx, the connection or the
// limit ends it.
func (r *redriver) run(ctx context.Context) error {
	l, err := listener.NewRaw(r.client, r.from, Group,
		func(_ context.Context, payload []byte, d listener.Delivery) error { return r.handle(ctx, payload, d) },
		listener.WithoutDefaults(), listener.ManualAck(), listener.NoDeadLetters(), listener.MaxAttempts(math.MaxInt32),
		listener.AckWait(r.ackWait), listener.MaxInFlight(r.maxInFlight), listener.DrainTimeout(closeTimeout),
		listener.GiveBackAtEnd(), listener.Observe(observe.Func(r.observe)))
	if err != nil {
		return err
	}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := l.Ready(), make(chan struct{})
	var listenErr error
	go func() {
		defer close(ended)
		listenErr = l.Listen(listening)
	}()
	select {
	case <-ready:
		r.waitAgain()
	case <-ended:
		return endOf(ctx, listenErr)
	}
	cause, stopped := r.loop(ctx, ended), true
	select {
	case <-ended:
		cause, stopped = endOf(ctx, listenErr), false
	default:
	}
	r.end(cause)
	stop()
	<-ended
	if stopped { // then the listener's error, if there is one, is another
		cause = errors.Join(cause, listenErr)
	}
	return errors.Join(cause, r.failure())
}

// endOf returns why a listener has ended that was not stopped: err, or ctx is done, or the
// client was closed.
func endOf(ctx context.Context, err error) error {
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return await.Cause(ctx)
	default:
		return transport.ErrClosed
	}
}

// loop takes the outcomes of publishes until the Redrive is over, ctx is done or the
// listener has ended. It returns ctx's end, if that is it.
func (r *redriver) loop(ctx context.Context, ended <-chan struct{}) error {
	timer := time.NewTimer(quietTime)
	defer timer.Stop()
	for {
		r.takeResults()
		if ctx.Err() == nil && r.done(ctx) {
			return nil
		}
		timer.Reset(r.nextCheck())
		select {
		case <-r.wake:
		case <-timer.C:
		case <-ended:
			return nil
		case <-ctx.Done():
			return await.Cause(ctx)
		}
	}
}

// observe is told what becomes of the deliveries. When the connection was lost, those that
// were not handled come again.
func (r *redriver) observe(o observe.Observation) {
	if o.Kind == observe.Interrupted {
		r.waitAgain()
	}
}

// waitAgain begins the wait for new dead letters again.
func (r *redriver) waitAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quietSince = time.Now()
}

// limitReached reports whether as many events as the limit allows are put back or being
// published. It is called with the lock held.
func (r *redriver) limitReached() bool {
	return r.options.limit > 0 && r.counter.result().Redriven+r.publishing >= r.options.limit
}

// quietUntil returns when the Redrive is over if no new dead letter comes until then. The
// server sends the messages of a dead member to the next member of the group after each
// ack wait. With one dead member in the group they are here after two ack waits. It is
// called with the lock held.
func (r *redriver) quietUntil() time.Time { return r.quietSince.Add(2*r.ackWait + quietTime) }

// nextCheck returns how long to wait if nothing happens.
func (r *redriver) nextCheck() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.publishing > 0 || r.handling {
		return quietTime
	}
	return time.Until(r.quietUntil())
}

// done reports whether the Redrive is over.
func (r *redriver) done(ctx context.Context) bool {
	decided, quiet := r.progress()
	if decided || !quiet {
		return decided
	}
	if !answers(ctx, r.session.Conn) {
		r.waitAgain() // nothing came because the broker could not send
		return false
	}
	_, quiet = r.progress()
	return quiet
}

// progress reports whether the limit is reached and all is decided, or else whether all is
// decided and nothing new has come for long enough.
func (r *redriver) progress() (decided, quiet bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.publishing > 0:
		return false, false
	case r.limitReached():
		return true, true
	default:
		return false, !r.handling && !time.Now().Before(r.quietUntil())
	}
}

// end lets no further event be put back. It gives up the publishes that have no outcome
// yet, because of cause, and decides about those that are stored. The others are not
// counted: the next Redrive gets their dead letters.
func (r *redriver) end(cause error) {
	r.mu.Lock()
	r.ending, r.cause = true, cause
	r.changed.Broadcast()
	var open []*event
	for _, e := range r.events {
		if e.outcome == undecided && e.sent {
			open = append(open, e)
		}
	}
	r.mu.Unlock()
	for _, e := range open {
		e.publish.GiveUp(cause)
	}
	for {
		r.takeResults()
		r.mu.Lock()
		over := r.publishing == 0
		r.mu.Unlock()
		if over {
			return
		}
		<-r.wake
	}
}

// failure returns the error for the events that could not be put back.
func (r *redriver) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstErr == nil {
		return nil
	}
	return fmt.Errorf("%d of %d could not be put back, the first since: %w", r.counter.result().Failed, len(r.deadLetters), r.firstErr)
}
