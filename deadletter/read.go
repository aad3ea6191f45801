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

// readTimeout is how long readFirst waits for a message before it assumes that there is
// none.
const readTimeout = 2 * time.Second

// errOriginalGone means that an event that was too large for its dead letter is not in its
// channel any more.
var errOriginalGone = errors.New("its dead letter holds no data, and the event is not in its channel any more")

// readFirst returns the first message of a subject at or after a position. found is false
// if there is none.
func readFirst(ctx context.Context, conn transport.Conn, subject string, from transport.Position) (d transport.Delivery, found bool, err error) {
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
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = await.WithGrace(closing, sub.Close) // if the server counts the member for a while, nothing is lost
	}()
	for {
		wait := time.NewTimer(readTimeout)
		select {
		case d := <-first:
			wait.Stop()
			return d, true, nil
		case <-wait.C:
			if answers(ctx, conn) {
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

// readNewest returns the newest message of a subject. found is false if there is none.
func readNewest(ctx context.Context, conn transport.Conn, subject string) (d transport.Delivery, found bool, err error) {
	return readFirst(ctx, conn, subject, transport.LastReceived)
}

// readOriginal reads the event of a dead letter that does not hold it.
func readOriginal(ctx context.Context, conn transport.Conn, dead events.DeadLetter) (transport.Delivery, error) {
	at, err := dead.StoredAt()
	if err != nil {
		return transport.Delivery{}, err
	}
	d, found, err := readFirst(ctx, conn, string(dead.Original), transport.Sequence(dead.Sequence))
	if err != nil {
		return d, err
	}
	if !found || d.Sequence != dead.Sequence || !d.Timestamp.Equal(at) {
		return d, fmt.Errorf("%w: %s at sequence %d", errOriginalGone, dead.Original, dead.Sequence)
	}
	return d, nil
}

// answers reports whether the broker answers a ping within the quiet time. If it does not,
// that no message came does not mean that there is none.
func answers(ctx context.Context, conn transport.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	return await.WithGrace(ctx, conn.Ping) == nil
}
