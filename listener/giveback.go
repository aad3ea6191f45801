package listener

import (
	"context"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/transport"
)

// GiveBackAtEnd makes the end of Listen give events back at once that were given back with
// a delay before, as [Backoff] or [RetryAfter] asked for: another member, or the next
// Listen, gets them without waiting for the delay. It is for tools that leave many events
// alone. Over NATS Streaming nothing is given back, and the option does nothing: the server
// sends what is not acknowledged to other members when a listener leaves.
func GiveBackAtEnd() Option {
	return func(o *options) error {
		o.giveBack = true
		return nil
	}
}

// delayed are the latest deliveries of the events that the broker keeps until their delay
// has passed. Only a runner with GiveBackAtEnd remembers them. The runner's lock guards it.
type delayed map[schedule.MessageKey]transport.Settler

// noteDelayed remembers an event that is given back with a delay.
func (r *runner) noteDelayed(e *schedule.Effect) {
	if !r.core.options.giveBack || e.Delay <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.delayed == nil {
		r.delayed = make(delayed)
	}
	r.delayed[e.Task.Message] = e.Delivery.Settler
}

// giveBackDelayed gives those events back without a delay. Where that takes longer than
// ctx, it goes on by itself.
func (r *runner) giveBackDelayed(ctx context.Context) {
	r.mu.Lock()
	all := r.delayed
	r.delayed = nil
	r.mu.Unlock()
	if len(all) == 0 || ctx.Err() != nil {
		return
	}
	_, _ = await.Do(ctx, func() (struct{}, error) {
		for _, settler := range all {
			_ = settler.Nak(0) // if that does not get through, the event comes when its delay has passed
		}
		return struct{}{}, nil
	}, nil)
}
