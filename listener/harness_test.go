package listener_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// lockedBuffer is what several goroutines log to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a listener on a fake broker.
type bench struct {
	conn   *fakeconn.Conn
	client *client.Client
	log    *lockedBuffer
	stop   context.CancelFunc
	ended  chan error
}

type expiration = events.ExpirationComplete

func build(tb testing.TB, conn *fakeconn.Conn) (*client.Client, *lockedBuffer) {
	tb.Helper()
	if conn.OnPublish == nil { // dead letters alone are published
		conn.OnPublish = func(_ transport.Message, r transport.Receipt) { r.Done(nil) }
	}
	log := &lockedBuffer{}
	c, err := client.Build(tb.Context(), "ticketing", "test", "nats://unused",
		client.Transport(conn.Dialer()), client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	require.NoError(tb, err)
	return c, log
}

// listen begins to listen; call it within a synctest bubble.
func listen(t *testing.T, h listener.Handler[expiration], opts ...listener.Option) *bench {
	t.Helper()
	return listenOn(t, &fakeconn.Conn{}, h, opts...)
}

func listenOn(t *testing.T, conn *fakeconn.Conn, h listener.Handler[expiration], opts ...listener.Option) *bench {
	t.Helper()
	b := &bench{conn: conn, ended: make(chan error, 1)}
	b.client, b.log = build(t, b.conn)
	l, err := listener.New(b.client, "expirations", h, opts...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	t.Cleanup(stop)
	ready := l.Ready()
	go func() { b.ended <- l.Listen(ctx) }()
	<-ready
	return b
}

func (b *bench) deliver(sequence uint64) *fakeconn.Settled {
	return b.conn.Subscriptions()[0].Deliver(transport.Delivery{
		Sequence: sequence, Timestamp: time.Unix(int64(sequence), 0), Deliveries: 1,
		Data: []byte(`{"orderId":"` + strconv.FormatUint(sequence, 10) + `"}`),
	})
}

func decodeDeadLetter(tb testing.TB, data []byte) (letter events.DeadLetter) {
	tb.Helper()
	require.NoError(tb, codec.JSON{}.Decode(data, &letter))
	return letter
}
