package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// readTimeout is how long readFirst waits for a message before it assumes that there is
// none.
const readTimeout = 2 * time.Second

// errOriginalGone means that an event that was too large for its dead letter is not in its
// channel any more.
var errOriginalGone = errors.New("its dead letter holds no data, and the event is not in its channel any more")

// message is a message as a raw listener got it.
type message struct {
	listener.Delivery

	payload []byte
}

// readFirst returns the first message of a subject at or after a position. found is false
// if there is none.
func readFirst(ctx context.Context, c *client.Client, s *session.Session, subject subjects.Subject, from listener.Position) (m message, found bool, err error) {
	if reader, ok := s.Conn.(transport.MessageReader); ok {
		d, found, err := reader.ReadMessage(ctx, string(subject), from)
		if !errors.Is(err, transport.ErrUnsupported) {
			m.Delivery = listener.Delivery{Subject: subject, Sequence: d.Sequence, Timestamp: d.Timestamp, Header: d.Header}
			m.payload = d.Data
			return m, found, err
		}
	}
	first := make(chan message, 1)
	l, err := listener.NewRaw(c, subject, "", func(_ context.Context, payload []byte, d listener.Delivery) error {
		select {
		case first <- message{d, payload}:
		default: // the one that was asked for has come
		}
		return nil
	}, listener.WithoutDefaults(), listener.Ephemeral(), listener.NoDeadLetters(), listener.StartAt(from),
		listener.MaxInFlight(1), listener.AckWait(ackWait), listener.DrainTimeout(closeTimeout))
	if err != nil {
		return m, false, err
	}
	listening, stop := context.WithCancel(ctx)
	ready, ended := l.Ready(), make(chan struct{})
	var listenErr error
	go func() {
		defer close(ended)
		listenErr = l.Listen(listening)
	}()
	defer func() {
		stop()
		<-ended // if the server counts the member for a while, nothing is lost
	}()
	select {
	case <-ready:
	case <-ended:
		return m, false, endOf(ctx, listenErr)
	}
	wait := time.NewTimer(readTimeout)
	defer wait.Stop()
	for {
		select {
		case m := <-first:
			return m, true, nil
		case <-wait.C:
			if answers(ctx, s.Conn) {
				return m, false, nil
			}
			wait.Reset(readTimeout)
		case <-ended:
			return m, false, endOf(ctx, listenErr)
		case <-ctx.Done():
			return m, false, await.Cause(ctx)
		}
	}
}

// readOriginal reads the event of a dead letter that does not hold it.
func (r *redriver) readOriginal(ctx context.Context, dead events.DeadLetter) (message, error) {
	at, err := dead.StoredAt()
	if err != nil {
		return message{}, err
	}
	m, found, err := readFirst(ctx, r.client, r.session, dead.Original, listener.Sequence(dead.Sequence))
	if err != nil {
		return m, err
	}
	if !found || m.Sequence != dead.Sequence || !m.Timestamp.Equal(at) {
		return m, fmt.Errorf("%w: %s at sequence %d", errOriginalGone, dead.Original, dead.Sequence)
	}
	return m, nil
}

// answers reports whether the broker answers a ping within the quiet time. If it does not,
// that no message came does not mean that there is none.
func answers(ctx context.Context, conn transport.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	return await.WithGrace(ctx, conn.Ping) == nil
}
