package listener

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/plural"
)

// drain takes nothing more in and waits for the handlers, until ctx is done. It returns
// what was unfinished.
func (r *runner) drain(ctx context.Context) error {
	idle := make(chan struct{})
	r.mu.Lock()
	r.scheduler.Drain(time.Now())
	r.idle = idle
	r.stopMarkers()
	r.unlock()
	defer r.endHandlers()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	r.giveBackDelayed(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.stopTimers()
	r.withdrawAll()
	if r.isIdle() {
		return nil
	}
	return fmt.Errorf("%w: %s: what is not acknowledged comes again (%w)", ErrUnfinished, r.unfinished(), await.Cause(ctx))
}

func (r *runner) isIdle() bool { return r.workers == 0 && r.unsettled == 0 && r.activeEffects == 0 }

// signalIdle tells the drain when there is nothing left to wait for. It is called with
// r.mu held.
func (r *runner) signalIdle() {
	if r.idle != nil && r.isIdle() {
		close(r.idle)
		r.idle = nil
	}
}

// unfinished says what the drain leaves behind: how many events, and which. It is called
// with r.mu held.
func (r *runner) unfinished() string {
	running, open, notStored := r.scheduler.Unfinished()
	var left []string
	for _, l := range []struct {
		one, many, what string
		sequences       []uint64
	}{{"handler", "handlers", "still running", running}, {"event", "events", "not settled", open}, {"dead letter", "dead letters", "not stored", notStored}} {
		if len(l.sequences) > 0 {
			left = append(left, fmt.Sprintf("%s %s (%s)", plural.Count(len(l.sequences), l.one, l.many), l.what, enumerate(l.sequences)))
		}
	}
	if left == nil {
		return "what was decided of some events may not be sent"
	}
	return strings.Join(left, ", ")
}

// mostNamed is how many sequences an error names.
const mostNamed = 20

// enumerate names the first of them.
func enumerate(sequences []uint64) string {
	slices.Sort(sequences)
	var b strings.Builder
	b.WriteString("sequence")
	if len(sequences) > 1 {
		b.WriteByte('s')
	}
	for i, s := range sequences {
		if i == mostNamed {
			fmt.Fprintf(&b, " and %d more", len(sequences)-mostNamed)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(strconv.FormatUint(s, 10))
	}
	return b.String()
}
