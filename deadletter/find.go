package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// findTimeout is how long a message that is there takes to come. Where it shows
// that there is none, this much has to pass.
const findTimeout = 2 * time.Second

// errGone means that an event that was too large for its dead letter is not in its
// channel any more.
var errGone = errors.New("its dead letter holds no data, and the event is not in its channel any more")

// find returns the first message of a subject from a position on, if there is one.
func find(ctx context.Context, conn transport.Conn, subject string, from transport.Position) (d transport.Delivery, found bool, err error) {
	first := make(chan transport.Delivery, 1)
	sub, err := conn.Subscribe(ctx, transport.SubscribeConfig{
		Subject: subject, Start: from, AckWait: ackWait, MaxInFlight: 1,
	}, func(d transport.Delivery) {
		_ = d.Settler.Ack()
		select {
		case first <- d:
		default:
		}
	})
	if err != nil {
		return d, false, err
	}
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		_ = await.WithGrace(leaving, sub.Close) // nothing is lost when the server counts it for a while
	}()
	for {
		wait := time.NewTimer(findTimeout)
		select {
		case d := <-first:
			wait.Stop()
			return d, true, nil
		case <-wait.C:
			if alive(ctx, conn) {
				return d, false, nil
			}
		case <-sub.Done():
			wait.Stop()
			return d, false, sub.Err()
		case <-ctx.Done():
			wait.Stop()
			return d, false, await.Cause(ctx)
		}
	}
}

// newest returns the last message of a subject, if there is one.
func newest(ctx context.Context, conn transport.Conn, subject string) (transport.Delivery, bool, error) {
	return find(ctx, conn, subject, transport.LastReceived)
}

// original reads the event of a dead letter that does not hold it.
func original(ctx context.Context, conn transport.Conn, dead events.DeadLetter) (transport.Delivery, error) {
	at, err := dead.StoredAt()
	if err != nil {
		return transport.Delivery{}, err
	}
	d, found, err := find(ctx, conn, string(dead.Original), transport.Sequence(dead.Sequence))
	if err != nil {
		return d, err
	}
	if !found || d.Sequence != dead.Sequence || !d.Timestamp.Equal(at) {
		return d, fmt.Errorf("%w: %s at sequence %d", errGone, dead.Original, dead.Sequence)
	}
	return d, nil
}

// alive reports whether the broker answers as fast as one with which nothing is
// wrong: when it does not, that nothing comes says nothing.
func alive(ctx context.Context, conn transport.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	return await.WithGrace(ctx, conn.Ping) == nil
}
