package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Group is the queue group, and the durable, in which every Redrive reads dead letters. So
// the server knows which dead letters an earlier Redrive has settled.
const Group = "redrive"

const (
	// ackWait is how long the server waits before it sends to another Redrive what it had
	// sent to one that was killed.
	ackWait = 2 * time.Second
	// quietTime is how long a server with which nothing is wrong may take to send a
	// message, or to answer a ping.
	quietTime = time.Second
	// closeTimeout is how long the server may take to confirm the end of a subscription. It
	// is a little longer than the transport waits for that.
	closeTimeout = 2500 * time.Millisecond
	// resentPerSecond is how many dead letters that are left alone NATS Streaming may send
	// again in a second. The ack wait grows with their number so that it sends no more.
	resentPerSecond = 10_000
	// maxInFlight is how many dead letters the broker sends at a time, where those that are
	// left alone can be given back to it.
	maxInFlight = 256
	// spareInFlight is how many dead letters more NATS Streaming may send at a time than
	// there were when the Redrive began. If as many are left alone as it may send, the
	// listener takes that for a fault.
	spareInFlight = 1000
)

// Result says what became of the dead letters that Redrive found.
type Result struct {
	Redriven   int // events that were put back
	Duplicates int // further dead letters of those events; they are acknowledged with the first
	Kept       int // dead letters that were left alone: Where does not want them, or they are another group's
	Failed     int // dead letters whose event could not be put back; the next Redrive tries again
}

// Redrive reads the dead letters that a queue group has left of a subject, and publishes
// their events on that subject again: the same bytes, and the same headers where the broker
// has headers. If an event was too large for its dead letter, Redrive reads it from the
// subject's own channel.
//
// Redrive acknowledges a dead letter when the server has stored its event, and not before.
// So a Redrive that is killed loses nothing, and the next one goes on. If the
// acknowledgement was lost, the next one publishes the event again; a broker that
// recognises message IDs does not store it twice, NATS Streaming does.
//
// Redrive handles the dead letters that are stored when it begins, and then returns. The
// next Redrive handles those that are stored later, for instance of events that failed
// again. No broker says when it has delivered everything, so Redrive ends when no new dead
// letter has come for two ack waits and 1 s. The ack wait is 2 s; over NATS Streaming it is
// 1 s longer for each 10,000 dead letters that the channel has ever held. So long it may
// take until the server delivers what it had sent to a Redrive that was killed. (A NATS
// Streaming server delivers that at once if the next Redrive connects with the same client
// ID.) Redrive returns earlier when it reaches [Limit], and when there never was a dead
// letter.
//
// When ctx is done, or the client is closed, Redrive returns: it settles what is decided and
// leaves the queue group. Over NATS Streaming, events that were being published then may be
// stored, and are put back a second time by the next Redrive. It has no timeout of its own:
// while the server is away, it waits. Over NATS Streaming the server sends all dead letters
// at once, and Redrive holds them in memory.
//
// The error says why Redrive ended early, or tells the reason of the first event that could
// not be put back. The log has each of those events with its reason. The Result is valid
// with an error, too.
//
// Redrive may be called from several goroutines and processes at a time, which then share
// the dead letters. Two of them may put an event back if the first needs longer for it than
// the ack wait.
func Redrive(ctx context.Context, c *client.Client, group string, subject subjects.Subject, opts ...Option) (result Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("redrive %s for %s: %w", subject, group, err)
		}
	}()
	o, err := newOptions(opts)
	if err != nil {
		return Result{}, err
	}
	if err := valid(c, group, subject); err != nil {
		return Result{}, err
	}
	s := access.Session(c)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	over := make(chan struct{})
	drainer := &session.Drainer{Drain: func(closing context.Context) error {
		stop(transport.ErrClosed)
		select {
		case <-over:
			return nil
		case <-closing.Done():
			return await.Cause(closing)
		}
	}}
	if err := s.AddDrainer(drainer); err != nil {
		return Result{}, err
	}
	var counts counter
	// Calls of nats.go may block. So Redrive returns when ctx is done, whatever they do.
	err = await.WithGrace(ctx, func(ctx context.Context) error {
		defer s.RemoveDrainer(drainer)
		defer close(over)
		return redrive(ctx, c, s, group, subject, o, &counts)
	})
	return counts.result(), err
}

// valid checks the arguments of Redrive.
func valid(c *client.Client, group string, subject subjects.Subject) error {
	if c == nil {
		return fmt.Errorf("%w client: nil", transport.ErrInvalid)
	}
	for _, part := range []struct {
		what string
		name subjects.Subject
	}{
		{"group", subjects.Subject(group)}, {"subject", subject}, {"subject of the dead letters", events.DeadLetterSubject(group, subject)},
	} {
		if err := subjects.Valid(string(part.name)); err != nil {
			return fmt.Errorf("%w %s: %w", transport.ErrInvalid, part.what, err)
		}
	}
	if events.IsMark(events.DeadLetterSubject(group, subject)) {
		return fmt.Errorf("%w group %q: listeners store marks under that name, which are no dead letters", transport.ErrInvalid, group)
	}
	return nil
}

// redrive is Redrive with arguments that are valid. It counts in counts.
func redrive(ctx context.Context, c *client.Client, s *session.Session, group string, subject subjects.Subject, o options, counts *counter) error {
	from := events.DeadLetterSubject(group, subject)
	newest, found, err := readFirst(ctx, c, s, from, listener.LastReceived)
	if err != nil || !found {
		return err
	}
	r := newRedriver(c, s, group, subject, from, newest.Sequence)
	r.options, r.counter = o, counts
	return r.run(ctx)
}
