package listener_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// TestLogNamesTheEntity of each event that a line is about, whatever happened to it.
func TestLogNamesTheEntity(t *testing.T) {
	t.Parallel()
	type handler = listener.Handler[events.TicketUpdated]
	fails := func(err error) handler {
		return func(context.Context, events.TicketUpdated, listener.Delivery) error { return err }
	}
	for line, test := range map[string]struct {
		handle handler
		opts   []listener.Option
		conn   func(*fakeconn.Conn)
	}{
		"handler failed: the event is tried again":    {handle: fails(errors.New("no"))},
		"event given up, and stored as a dead letter": {handle: fails(listener.Reject(errors.New("no")))},
		"event given up, but its dead letter may not be stored": {
			handle: fails(listener.Reject(errors.New("no"))),
			conn: func(c *fakeconn.Conn) {
				c.OnPublish = func(_ transport.Message, r transport.Receipt) { r.Done(transport.ErrNotStored) }
			},
		},
		"handler panicked":          {handle: func(context.Context, events.TicketUpdated, listener.Delivery) error { panic("no") }},
		"option Classify panicked":  {handle: fails(errors.New("no")), opts: []listener.Option{listener.Classify(func(error) error { panic("no") })}},
		"can't be handled yet":      {handle: fails(listener.ErrVersionGap)},
		"has used 80 % of the ack":  {handle: slow, opts: []listener.Option{listener.AckWait(5 * time.Second)}},
		"goes on after its Handler": {handle: slow, opts: []listener.Option{listener.HandlerTimeout(2 * time.Second)}},
		"event skipped: its ack wa": {handle: slow},
		"failed after it had settl": {
			handle: func(_ context.Context, _ events.TicketUpdated, d listener.Delivery) error {
				_ = d.Ack()
				return errors.New("no")
			},
			opts: []listener.Option{listener.ManualAck()},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{}
			if test.conn != nil {
				test.conn(conn)
			}
			c, log := build(t, conn)
			l, err := listener.New(c, "g", test.handle, test.opts...)
			require.NoError(t, err)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Listen(ctx) }()
			<-l.Ready()
			for n := range uint64(2) {
				conn.Subscriptions()[0].Deliver(transport.Delivery{
					Subject: "ticket:updated", Sequence: n + 1, Timestamp: time.Unix(1, 0), Deliveries: 1,
					Data: []byte(`{"id":"ticket-7","version":3,"title":"t","price":1,"userId":"u"}`),
				})
			}
			time.Sleep(8 * time.Second)
			stop()
			if err := <-ended; err != nil {
				require.ErrorIs(t, err, listener.ErrUnfinished)
			}
			require.Regexp(t, regexp.QuoteMeta(line)+`[^\n]* sequence=\d( attempt=\d)? entity=ticket-7 `, log.String())
			for text := range strings.Lines(log.String()) {
				require.Equal(t, strings.Contains(text, " sequence="), strings.Contains(text, " entity=ticket-7"), text)
			}
		})
	}
}

// slow heeds no context, and fails.
func slow(context.Context, events.TicketUpdated, listener.Delivery) error {
	time.Sleep(6 * time.Second)
	return nil
}

// entityless has an entity whose method panics.
type entityless struct{}

func (entityless) Subject() subjects.Subject { return "entityless" }
func (entityless) EntityID() string          { panic("none") }
func (entityless) EntityVersion() int64      { return 0 }

// TestLogWithoutEntity: what can't be decoded, and an event whose own method fails, are logged
// without it.
func TestLogWithoutEntity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, log := build(t, conn)
		l, err := listener.New(c, "g", func(context.Context, entityless, listener.Delivery) error { return errors.New("no") }, listener.MaxAttempts(1))
		require.NoError(t, err)
		ended := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { ended <- l.Listen(ctx) }()
		<-l.Ready()
		for n, data := range []string{`{}`, `{`} {
			conn.Subscriptions()[0].Deliver(transport.Delivery{
				Subject: "entityless", Sequence: uint64(n) + 1, Timestamp: time.Unix(1, 0), Data: []byte(data),
			})
		}
		synctest.Wait()
		require.Equal(t, 2, strings.Count(log.String(), "event given up, and stored as a dead letter"))
		require.NotContains(t, log.String(), "entity=")
		stop()
		require.NoError(t, <-ended)
	})
}

// TestDecodingThatHangs: the line about it waits for it, and nothing else does.
func TestDecodingThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, conn := newHanging(), &fakeconn.Conn{}
		c, log := build(t, conn)
		l, err := listener.New(c, "g", func(context.Context, events.TicketUpdated, listener.Delivery) error { return nil },
			listener.Codec(hangingCodec{h: h}), listener.DrainTimeout(time.Second))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(ctx) }()
		<-l.Ready()
		conn.Subscriptions()[0].Deliver(transport.Delivery{
			Subject: "ticket:updated", Sequence: 1, Timestamp: time.Unix(1, 0), Deliveries: 1,
			Data: []byte(`{"id":"ticket-7","version":3,"title":"t","price":1,"userId":"u"}`),
		})
		time.Sleep(4500 * time.Millisecond) // 80 % of the ack wait have passed
		stop()
		require.ErrorIs(t, <-ended, listener.ErrUnfinished)
		h.end()
		synctest.Wait()
		require.Contains(t, log.String(), "has used 80 % of the ack wait")
	})
}
