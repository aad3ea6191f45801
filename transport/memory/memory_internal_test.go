package memory

import (
	"testing"
	"testing/synctest"
	"time"

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
