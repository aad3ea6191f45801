package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func harness(features transport.Features, opts ...Option) transporttest.Harness {
	return transporttest.Harness{
		Open:     func(*testing.T) transport.Dialer { return New(opts...).Dialer() },
		Features: features,
		AckWait:  30 * time.Second,
		Around:   synctest.Test,
	}
}

func TestConformanceAsNATSStreaming(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, harness(natsStreaming, NATSStreaming()))
}

func TestConformanceAsJetStream(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, harness(jetStream, JetStream()))
}

func TestStored(t *testing.T) {
	t.Parallel()
	b := New()
	require.Empty(t, b.Stored("a"))
	require.Empty(t, b.Subjects())
	conn, err := b.Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
	require.NoError(t, err)
	changed := b.Changed()
	for _, m := range []transport.Message{{Subject: "b", Data: []byte("1")}, {Subject: "a", Data: []byte("2")}, {Subject: "b", Data: []byte("3")}} {
		conn.Publish(m, transport.ReceiptFunc(func(err error) { require.NoError(t, err) }))
	}
	<-changed
	require.Equal(t, []string{"a", "b"}, b.Subjects())
	require.Equal(t, []transport.Message{{Subject: "b", Data: []byte("1")}, {Subject: "b", Data: []byte("3")}}, b.Stored("b"))
	select {
	case <-b.Changed():
		t.Fatal("nothing was stored since")
	default:
	}
	b.EmptyStore()
	require.Empty(t, b.Subjects())
	require.NoError(t, conn.Close(t.Context()))
}
