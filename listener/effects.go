package listener

import (
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
	switch e.Do {
	case schedule.AckAgain:
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
		if e.Skip == observe.SkipLate {
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
			r.log.Warn("event not given back: it comes again when its ack wait has passed", attributesOf(e, slog.Any("error", err))...)
		}
	}
	if r.observed() {
		o := r.observation(observe.Settled, &e.Delivery, e.Attempt)
		o.Reason, o.RetryIn, o.Err = observe.SettleNak, e.Delay, err
		r.tell(o)
	}
}

// warnLate says that an event could not begin within its ack wait.
func (r *runner) warnLate(e *schedule.Effect) {
	r.log.Warn("event skipped: its ack wait expired before a handler was free, so it comes again; "+
		"lower MaxInFlight, or raise Concurrency or AckWait",
		slog.Uint64("sequence", e.Task.Message.Sequence), slog.Duration("ack_wait", r.core.options.ackWait))
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
	about := attributesOf(e, slog.Any("error", e.Err), slog.Duration("after", e.Delay), slog.String("again", again), r.payload(&e.Delivery))
	switch {
	case withoutCause(e.Err):
		r.log.Debug("handler gave the event back: it is tried again", about...)
	case e.Waited == 1:
		r.log.Info("event can't be handled yet, which is no attempt: it is tried again", about...)
	case e.Waited > 1:
		r.log.Debug("event can't be handled yet, which is no attempt: it is tried again", append(about, slog.Int("waited", e.Waited))...)
	default:
		r.log.Warn("handler failed: the event is tried again", about...)
	}
	r.tellFailed(e)
}

// attributesOf names the event of an effect in the log.
func attributesOf(e *schedule.Effect, more ...any) []any {
	return append([]any{slog.Uint64("sequence", e.Task.Message.Sequence), slog.Int("attempt", e.Attempt)}, more...)
}
