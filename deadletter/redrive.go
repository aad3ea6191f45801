package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Group is the queue group, and the durable, in which every Redrive reads: what
// one has put back, or left, the next one knows.
const Group = "redrive"

const (
	// ackWait is after what time the server gives to another Redrive what one that was
	// killed had in hand.
	ackWait = 2 * time.Second
	// quiet is how long the server may take to send what it has to send.
	quiet = time.Second
	// leaveTimeout is how long the server may take to confirm the end: a little more
	// than the transport waits for it.
	leaveTimeout = 2500 * time.Millisecond
	// resentPerSecond is how many dead letters that are left alone NATS Streaming may
	// send again each second.
	resentPerSecond = 10_000
	// maxInFlight is how many dead letters are asked for at a time, where what is left
	// alone can be given back meanwhile.
	maxInFlight = 256
)

// Result says what became of the dead letters that Redrive found.
type Result struct {
	Redriven   int // events that were put back
	Duplicates int // further dead letters of those events, stored twice: acknowledged with the first
	Kept       int // dead letters left alone: Where does not want them, or they are another group's
	Failed     int // dead letters whose event could not be put back: they are there for the next Redrive
}

// Redrive publishes the events of a group's dead letters of a subject on that
// subject again: the same bytes, and the same headers where there are any. Each
// dead letter is acknowledged once the server has stored its event, and not
// before: a Redrive that is killed loses nothing, and the next one goes on. Where
// the broker recognises message IDs, an event whose acknowledgement was lost in
// between is not stored twice; over NATS Streaming it is. The data that a dead
// letter was too small for is read from the subject's own channel.
//
// It works through what is there when it begins, and then returns; what fails
// again meanwhile is for the next one. No broker tells when all was delivered, so
// that it ends when nothing has come for 5 s: what a Redrive that was killed had in
// hand comes only after its ack wait of 2 s, and over NATS Streaming half of it
// each time, until the server notices that it is dead. (It notices at once when the
// next one connects with the same client ID.) There, each 10,000 that the channel
// has ever held make the ack wait 1 s longer. It ends earlier at [Limit], and when
// there never was a dead letter. When ctx is done, it ends with what it has, and takes
// leave of the server by itself; it has no timeout of its own, and waits for a server
// that is away. Client.Close ends it like ctx.
// Over NATS Streaming the server sends all there are at once, so that they should
// have room in memory.
//
// The error says why it ended early, or names the first of the events that could
// not be put back, which are in the log, each with its reason. The Result is valid
// either way. It may be called from several goroutines and processes, which then
// share the dead letters; those that one takes longer than the ack wait for may be
// put back by two.
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
	member := &session.Drainer{Drain: func(closing context.Context) error {
		stop(transport.ErrClosed)
		select {
		case <-over:
			return nil
		case <-closing.Done():
			return await.Cause(closing)
		}
	}}
	if err := s.AddDrainer(member); err != nil {
		return Result{}, err
	}
	var so tally
	err = await.WithGrace(ctx, func(ctx context.Context) error { // and not from here on: nats.go may hold up its calls
		defer s.RemoveDrainer(member)
		defer close(over)
		return redrive(ctx, s, group, subject, o, &so)
	})
	return so.far(), err
}

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
	return nil
}

func redrive(ctx context.Context, s *session.Session, group string, subject subjects.Subject, o options, so *tally) error {
	letters := string(events.DeadLetterSubject(group, subject))
	last, found, err := newest(ctx, s.Conn, letters)
	if err != nil || !found {
		return err
	}
	p := &pass{
		session: s, options: o, tally: so, group: group, subject: subject, last: last.Sequence,
		log:     s.Log.With(slog.String("subject", string(subject)), slog.String("group", group)),
		letters: make(map[identity]*letter), left: make(map[identity]transport.Settler), events: make(map[string]*event),
		desk: newDesk(),
	}
	config := transport.SubscribeConfig{
		Subject: letters, Durable: Group, Group: Group, Start: transport.All, AckWait: ackWait,
		MaxInFlight: maxInFlight, Interrupted: p.desk.interrupt,
	}
	if !s.Conn.Features().Nak {
		// What is left alone stays unacknowledged, and must not stand in the way of the
		// rest: neither by the places that it takes, nor by coming again all the time.
		config.AckWait += time.Duration(last.Sequence/resentPerSecond) * time.Second //nolint:gosec // G115: nor are there so many
		config.MaxInFlight = int(min(last.Sequence, math.MaxInt32))
	}
	sub, err := s.Conn.Subscribe(ctx, config, p.desk.deliver)
	if err != nil {
		return err
	}
	err = p.run(ctx, sub)
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	left := await.WithGrace(leaving, func(ctx context.Context) error {
		sub.Stop()
		p.release()
		return sub.Close(ctx)
	})
	return errors.Join(err, p.failure(), left)
}
