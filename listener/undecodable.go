package listener

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/plural"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/transport"
)

// ErrTooManyUndecodable means that as many events in a row could not be decoded as
// [StopAfterUndecodable] allows. The error names the sequence of the last one, and matches why
// that could not be decoded, too.
var ErrTooManyUndecodable = errors.New("too many undecodable events in a row")

// StopAfterUndecodable makes Listen end when n events in a row could not be decoded, with an
// error that matches [ErrTooManyUndecodable]: it is for services that would rather stop than
// have a wrong type, tag or codec empty their subject into dead letters. The last of the n
// events and all that come after it do not become dead letters: they stay unacknowledged, and
// come again to other members or to the next Listen. The n-1 before are dead letters, which
// deadletter.Redrive puts back. client.Run and [Run] end with the listener's error, as with
// every runner that fails. A service that is started again then counts from 1 again, so that n
// should be small where something restarts it. n must be at least 1, which stops at the first.
//
// Events that [Validate] refuses count like those that can't be decoded. An event that comes
// again counts once. A decodable event ends the row. A [Raw] listener decodes nothing, so that
// the option has no effect there.
//
// Without this option the listener goes on. After 16 in a row the client is degraded, until an
// event can be decoded or Listen ends; see client.Client.Status.
func StopAfterUndecodable(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option StopAfterUndecodable: %d; must be at least 1; leave it out to go on", transport.ErrInvalid, n)
		}
		o.stopAfterUndecodable = n
		return nil
	}
}

// degradedAtUndecodable is after how many undecodable events in a row the client is degraded.
const degradedAtUndecodable = 16

// undecodable is what the runner does about events in a row that can't be decoded. The
// runner's lock guards it, but not row.
type undecodable struct {
	row      atomic.Bool // the last event that was read was none that can be decoded
	told     int         // of how many the client was told; 0: it is not degraded
	stopping bool
	stop     chan error // gets the error with which Listen has to end
}

func (c *core) undecodableReason() string {
	return "events of " + c.description() + " can't be decoded"
}

// decoded says that an event could be decoded.
func (r *runner) decoded() {
	if r.undecodable.row.Load() {
		r.mu.Lock()
		r.scheduler.Readable()
		r.unlock()
	}
}

// checkUndecodable tells the client when too many events in a row could not be decoded, and
// when one could be decoded again; or it makes Listen end. It is called with r.mu held, before
// the scheduler's effects are taken.
func (r *runner) checkUndecodable() {
	n, sequence, last := r.scheduler.UnreadableInARow()
	r.undecodable.row.Store(n > 0)
	switch told := r.undecodable.told; {
	case r.ended:
	case r.scheduler.StoppedAtUnreadable():
		if !r.undecodable.stopping {
			r.undecodable.stopping = true
			r.scheduler.Drain(time.Now())
			err := fmt.Errorf("%w (%d; option StopAfterUndecodable), the last with sequence %d: %w; "+
				"compare the event's type, its tags and the codec with what is published", ErrTooManyUndecodable, n, sequence, last.Err)
			r.log.Error("too many undecodable events in a row: Listen ends before more become dead letters", slog.Any("error", err))
			r.undecodable.stop <- err
		}
	case n >= degradedAtUndecodable && n != told:
		r.undecodable.told = n
		r.core.session.Degrade(r, r.core.undecodableReason(), fmt.Errorf(
			"%s in a row, the last with sequence %d: %w; compare the event's type, its tags and the codec with what is published; %s; "+
				"option StopAfterUndecodable ends Listen instead",
			plural.Count(n, "event", "events"), sequence, last.Err, r.fateOfUndecodable()))
	case n == 0 && told > 0:
		r.undecodable.told = 0
		r.core.session.Recover(r, r.core.undecodableReason())
	}
}

func (r *runner) fateOfUndecodable() string {
	if r.core.options.noDeadLetters {
		return "they stay unacknowledged, and come again"
	}
	return "they become dead letters, which deadletter.Redrive puts back once that is mended"
}

func (r *runner) withdrawUndecodable() {
	if r.undecodable.told > 0 {
		r.undecodable.told = 0
		r.core.session.Withdraw(r, r.core.undecodableReason())
	}
}

// announceUndecodable tells those who watch the client of an event that can't be decoded.
func (r *runner) announceUndecodable(e *schedule.Effect) {
	if e.Unreadable != "" {
		a := r.announcement(e)
		a.Kind, a.Reason, a.Err = session.Undecodable, string(e.Unreadable), cmp.Or(e.GiveUp.Err, e.Err)
		r.core.session.Tell(a)
	}
}

// announceDeadLetter tells them of a dead letter that is stored.
func (r *runner) announceDeadLetter(e *schedule.Effect) {
	a := r.announcement(e)
	a.Kind, a.Reason, a.Err = session.DeadLettered, string(e.GiveUp.Reason), e.GiveUp.Err
	r.core.session.Tell(a)
}

func (r *runner) announcement(e *schedule.Effect) session.Announcement {
	return session.Announcement{
		Listener: r.core.description(), Subject: e.Delivery.Subject, Group: r.core.group, Sequence: e.Delivery.Sequence,
	}
}
