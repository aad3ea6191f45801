package integration_test

import (
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
	"github.com/sgtickets/common/transport/stan"
	"github.com/sgtickets/common/transport/transporttest"
)

// ackWait leaves the cases time on a machine that is busy with others: half of it, say,
// until an acknowledgement is sent.
const ackWait = 2 * time.Second

func TestConformanceNATSStreaming(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, transporttest.Harness{
		Open:      func(*testing.T) transport.Dialer { return stan.Dialer() },
		Features:  transport.Features{AckWaitUnit: time.Second},
		ClusterID: server.clusterID,
		URL:       server.url,
		AckWait:   ackWait,
		Parallel:  true,
	})
}

func TestConformanceJetStream(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, transporttest.Harness{
		Open: func(*testing.T) transport.Dialer {
			return jetstream.Dialer(jetstream.OnlySubjects("conformance.>"), jetstream.MemoryStorage())
		},
		Features:  transport.Features{Headers: true, Nak: true, InProgress: true, Term: true, Deduplicate: true, Wildcards: true},
		ClusterID: "conformance",
		URL:       jetServer.url,
		AckWait:   ackWait,
		Parallel:  true,
	})
}
