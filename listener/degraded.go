package listener

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/internal/plural"
)

// degraded is why the client is degraded on behalf of a runner. The runner's lock guards
// it.
type degraded struct{ deadLetters, stuck, marks bool }

// What helps against events that are stuck.
const (
	remedyNoDeadLetters = "leave out option NoDeadLetters, so that they become dead letters, mend the handler"
	remedyOfDeadLetters = "dead letters make no dead letters, so mend the handler"
	remedyOfAttempts    = "they become dead letters when their attempts are used up; mend the handler, have it Reject what can't succeed, set MaxAttempts to fewer, " +
		"or VersionGapTimeout to less where events wait for a version"
)

func (c *core) deadLettersReason() string {
	return "dead letters of " + c.description() + " can't be stored"
}

func (c *core) stuckReason() string {
	return "events of " + c.description() + " are stuck: as many as MaxInFlight fail, or wait for one that does"
}

// degradeDeadLetters tells the client that a dead letter was not stored. It is called
// with r.mu held, as the methods below.
func (r *runner) degradeDeadLetters(err error) {
	if r.ended {
		return // nobody would take it back
	}
	r.degraded.deadLetters = true
	r.core.session.Degrade(r, r.core.deadLettersReason(), err)
}

func (r *runner) recoverDeadLetters() {
	if r.degraded.deadLetters {
		r.degraded.deadLetters = false
		r.core.session.Recover(r, r.core.deadLettersReason())
	}
}

// checkStuck tells the client when events that can't be handled take all places, and when
// they do so no longer.
func (r *runner) checkStuck() {
	if !r.scheduler.MayBeFull() && !r.degraded.stuck {
		return
	}
	maxInFlight := r.core.options.maxInFlight
	n := r.scheduler.Stuck(time.Now())
	switch is := n >= maxInFlight; {
	case is && !r.degraded.stuck:
		remedy := remedyOfAttempts
		if r.core.options.noDeadLetters {
			remedy = r.core.stuckRemedy
		}
		r.core.session.Degrade(r, r.core.stuckReason(), fmt.Errorf(
			"%s can't be handled, or wait for one of their key that can't, and stay unacknowledged: %s, or raise MaxInFlight (%d) for the time being",
			plural.Count(n, "event", "events"), remedy, maxInFlight))
	case !is && r.degraded.stuck:
		r.core.session.Recover(r, r.core.stuckReason())
	default:
		return
	}
	r.degraded.stuck = !r.degraded.stuck
}

// withdrawAll takes back what the client was told: the runner has ended.
func (r *runner) withdrawAll() {
	if r.degraded.deadLetters {
		r.core.session.Withdraw(r, r.core.deadLettersReason())
	}
	if r.degraded.stuck {
		r.core.session.Withdraw(r, r.core.stuckReason())
	}
	if r.degraded.marks {
		r.core.session.Withdraw(r, r.core.marksReason())
	}
	r.degraded = degraded{}
	r.withdrawStalled()
	r.withdrawUndecodable()
}
