package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/subjects"
)

// suspectAfter: an event that the server has sent again that often, when it first comes to a
// Listen, is suspect.
const suspectAfter = 3

// suspectsTurn is how long the next suspect event waits for the one that runs.
const suspectsTurn = 30 * time.Second

// otherSuspectRuns is after what time a suspect event asks again that waits for one of another
// listener of the process: where both ran, nobody could say which of them ends it.
const otherSuspectRuns = 500 * time.Millisecond

// maxEndedProcesses: an event is given up when so many processes have ended while they ran it
// and it was marked.
const maxEndedProcesses = 3

// Why the mark of a suspect event is not stored.
var (
	errMarksOff = errors.New("option NoDeadLetters: an event that was sent again several times runs without a mark; " +
		"if it ends the process, it is not given up, and ends each process that runs it: leave the option out, or mend the handler")
	errDeadLetter = errors.New("a dead letter that was sent again several times runs without a mark; " +
		"if it ends the process, it is not given up, since dead letters make no dead letters, and ends each process that runs it: mend the handler")
)

// suspectAfter returns the scheduler's rule. Tools that read dead letters as they are stored,
// such as Redrive, suspect none.
func (c *core) suspectAfter() int {
	if c.raw && strings.HasPrefix(string(c.subject), "dead.") {
		return 0
	}
	return suspectAfter
}

// suspectAge is the scheduler's rule, where the broker takes events back.
func (c *core) suspectAge() time.Duration {
	if !c.session.Conn.Features().Nak {
		return 0
	}
	return suspectAfter * c.options.ackWait
}

// marksOff returns why no mark can be stored; nil if one can.
func (c *core) marksOff() error {
	switch {
	case !c.options.noDeadLetters:
		return nil
	case c.stuckRemedy == remedyOfDeadLetters:
		return errDeadLetter
	default:
		return errMarksOff
	}
}

// startStoringMark has the mark of a suspect event stored, which may take a while.
func (r *runner) startStoringMark(e *schedule.Effect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scheduler.Draining() { // the markers have ended, and the task was dropped
		r.scheduler.Marked(e.Task, false)
		return
	}
	subject := r.core.markSubject(&e.Delivery)
	if r.markers == nil {
		r.markers = make(map[subjects.Subject]*marker)
		r.marking, r.stopMarking = context.WithCancel(r.handlers)
	}
	m := r.core.marker(subject)
	r.markers[subject] = m
	r.activeEffects++
	go r.storeMark(r.marking, m, *e)
}

func (r *runner) storeMark(ctx context.Context, m *marker, e schedule.Effect) {
	var j schedule.Judgement
	err := r.core.marksOff()
	if err == nil && !r.core.session.SuspectsTurn.Take(r, time.Now(), suspectsTurn) {
		r.mu.Lock()
		defer r.unlock()
		r.activeEffects--
		now := time.Now()
		r.scheduler.Undecided(e.Task, now.Add(otherSuspectRuns), now)
		return
	}
	if err == nil {
		j, err = m.begin(ctx, r.core.runningEventOf(&e.Delivery))
	}
	about := r.attributesOf(&e, slog.Int("deliveries", e.Delivery.Deliveries), slog.Any("ended", j.Ended))
	r.mu.Lock()
	defer r.unlock()
	r.activeEffects--
	if err != nil || !j.Until.IsZero() || j.Crashes {
		r.core.session.SuspectsTurn.End(r)
	}
	switch {
	case err != nil:
		if r.scheduler.Marked(e.Task, false) {
			r.degradeMarks(m.subject, err)
		}
	case !j.Until.IsZero():
		r.scheduler.Undecided(e.Task, j.Until, time.Now())
	case j.Crashes:
		r.scheduler.Crashed(e.Task, fmt.Errorf("%d processes ended while they ran it: those of the clients %s", len(j.Ended), strings.Join(j.Ended, ", ")), time.Now())
	default:
		if len(j.Ended) > 0 {
			r.log.Warn("processes ended while they ran this event, which is tried once more", about...)
		}
		r.scheduler.Marked(e.Task, true)
	}
}

// startTakingMarkBack has the mark of an event taken back that is over, or whose Listen ends.
func (r *runner) startTakingMarkBack(e *schedule.Effect) {
	r.mu.Lock()
	m := r.markers[r.core.markSubject(&e.Delivery)]
	r.activeEffects++
	r.mu.Unlock()
	go func() {
		defer r.core.session.SuspectsTurn.End(r) // when the mark is taken back, so that the next event's process is not counted
		if err := m.end(r.handlers, r.core.runningEventOf(&e.Delivery)); err != nil {
			r.log.Warn("the mark of an event that runs no more was not taken back: it counts against the event as if the process had ended",
				r.attributesOf(e, slog.Any("error", err))...)
		}
		r.mu.Lock()
		r.activeEffects--
		r.unlock()
	}()
}

// interruptMarkers is called with r.mu held, when the connection was lost.
func (r *runner) interruptMarkers() {
	for _, m := range r.markers {
		m.interrupt()
	}
}

// stopMarkers ends what waits for marks. It is called with r.mu held, when the drain begins.
func (r *runner) stopMarkers() {
	if r.stopMarking != nil {
		r.stopMarking()
	}
}

func (c *core) marksReason() string {
	return "events of " + c.description() + " that may end the process are not marked"
}

// degradeMarks tells the client that a suspect event runs without a mark. It is called with
// r.mu held, and so is recoverMarks.
func (r *runner) degradeMarks(subject string, err error) {
	if r.ended {
		return
	}
	r.degraded.marks = true
	r.core.session.Degrade(r, r.core.marksReason(), explainMarks(subject, err))
}

// recoverMarks takes that back when no event is suspect any more.
func (r *runner) recoverMarks() {
	if r.degraded.marks && !r.scheduler.Suspects() {
		r.degraded.marks = false
		r.core.session.Recover(r, r.core.marksReason())
	}
}

// explainMarks says what can be done if no mark can be stored.
func explainMarks(subject string, err error) error {
	if errors.Is(err, errMarksOff) || errors.Is(err, errDeadLetter) {
		return err
	}
	return fmt.Errorf("an event that was sent again %d times or more may have ended the processes that ran it; it runs all the same, "+
		"and ends each process if that is so, until a mark can be stored and read on %s: the client needs to publish and subscribe there, "+
		"and over JetStream a stream has to store it: %w", suspectAfter, subject, explainNotStored(err))
}
