package listener

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/observe"
)

// unlock releases the runner's lock, and performs what the scheduler has decided under
// it.
func (r *runner) unlock() {
	if effects := r.decided(); effects != nil {
		r.perform(effects)
	}
}

// unlockAsync is unlock where nothing may be waited for.
func (r *runner) unlockAsync() {
	if effects := r.decided(); effects != nil {
		go r.perform(effects)
	}
}

// decided releases the lock, and returns what is to be performed.
func (r *runner) decided() []schedule.Effect {
	r.checkUndecodable()
	effects := r.scheduler.TakeEffects()
	if len(effects) > 0 {
		r.activeEffects++
		r.orderObservations(effects)
	}
	r.resting.Store(int64(r.scheduler.Resting()))
	r.spawnWorkers()
	if !r.ended {
		r.startExtending()
		r.setAlarm()
		r.checkStuck()
		r.recoverStalled()
		r.recoverMarks()
	}
	r.signalIdle()
	r.mu.Unlock()
	return effects
}

func (r *runner) perform(effects []schedule.Effect) {
	for i := range effects {
		r.performOne(&effects[i])
	}
	r.mu.Lock()
	r.activeEffects--
	r.unlock()
}

func (r *runner) performOne(e *schedule.Effect) {
	if e.Skip != "" {
		r.tellSkipped(e)
	}
	r.announceUndecodable(e)
	switch e.Do {
	case schedule.AckAgain:
		r.logHandled(e)
		r.ackOrRelease(e.Task)
	case schedule.Nak:
		r.tellRetry(e)
		r.nak(e)
	case schedule.LetGo:
		r.tellRetry(e)
		e.Delivery.Settler.Release()
	case schedule.Hold:
		r.tellRetry(e)
		return // the task is here, and may run by now
	case schedule.Drop:
		if e.Skip == observe.SkipLate && !e.Quiet {
			r.warnLate(e)
		}
		e.Delivery.Settler.Release()
	case schedule.Replace:
		e.Replaced.Release()
		return // the task is here, and may run
	case schedule.StoreDeadLetter:
		r.startStoringDeadLetter(e)
		return
	case schedule.StoreMark:
		r.startStoringMark(e)
		return
	case schedule.TakeMarkBack:
		r.startTakingMarkBack(e)
		return
	}
	if e.Task.Event != nil {
		r.core.eventType.release(e.Task.Event)
		e.Task.Event = nil
	}
}

// nak gives a delivery back to the broker.
func (r *runner) nak(e *schedule.Effect) {
	r.noteDelayed(e)
	err := e.Delivery.Settler.Nak(e.Delay)
	if err != nil {
		e.Delivery.Settler.Release()
		if !errors.Is(err, ErrSubscriptionClosed) {
			r.log.Warn("event not given back: it comes again when its ack wait has passed", r.attributesOf(e, slog.Any("error", err))...)
		}
	}
	if r.observed() {
		o := r.observation(observe.Settled, &e.Delivery, e.Attempt)
		o.Reason, o.RetryIn, o.Err = observe.SettleNak, e.Delay, err
		r.tell(o)
	}
}

// logHandled says that a delivery is not run because its event was handled before.
func (r *runner) logHandled(e *schedule.Effect) {
	if e.Skip == observe.SkipCopy {
		_, id, _ := schedule.CloudEvent(e.Delivery.Header)
		r.log.Debug("event skipped: a copy with the same source, id, type and payload was handled before", r.attributesOf(e, slog.String("ce_id", id))...)
		return
	}
	r.log.Debug("event skipped: it was handled before, and is acknowledged again", r.attributesOf(e)...)
}

// warnLate says that an event could not begin within its ack wait.
func (r *runner) warnLate(e *schedule.Effect) {
	r.log.Warn("event skipped: its ack wait expired before a handler was free, so it comes again; "+
		"lower MaxInFlight, or raise Concurrency or AckWait",
		r.attributesOf(e, slog.Duration("ack_wait", r.core.options.ackWait))...)
}

// tellRetry says that an attempt failed, and when the next one is. A handler that asked
// for that without an error gets no warning.
func (r *runner) tellRetry(e *schedule.Effect) {
	if e.Err == nil {
		return
	}
	again := "here"
	switch e.Do { //nolint:exhaustive // the other effects are no retries
	case schedule.Nak:
		again = "by whichever member gets it"
	case schedule.LetGo:
		again = "when its ack wait has passed, by whichever member gets it"
	}
	level, text := slog.LevelWarn, "handler failed: the event is tried again"
	switch {
	case withoutCause(e.Err):
		level, text = slog.LevelDebug, "handler gave the event back: it is tried again"
	case e.Unreadable != "":
		text = "event can't be decoded, or is not valid, and makes no dead letter: it comes again"
	case e.Waited == 1:
		level, text = slog.LevelInfo, "event can't be handled yet, which is no attempt: it is tried again"
	case e.Waited > 1:
		level, text = slog.LevelDebug, "event can't be handled yet, which is no attempt: it is tried again"
	}
	if ctx := context.Background(); r.log.Enabled(ctx, level) {
		about := r.attributesOf(e, slog.Any("error", e.Err), slog.Duration("after", e.Delay), slog.String("again", again), r.payload(&e.Delivery))
		if e.Waited > 1 {
			about = append(about, slog.Int("waited", e.Waited))
		}
		r.log.Log(ctx, level, text, about...) //nolint:sloglint // one of the texts above
	}
	r.tellFailed(e)
}
