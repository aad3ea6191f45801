package integration_test

import (
	"testing"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
	"github.com/sgtickets/common/transport/stan"
	"github.com/sgtickets/common/transport/transporttest"
)

func TestConformanceNATSStreaming(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, transporttest.Harness{
		Open:      func(*testing.T) transport.Dialer { return stan.Dialer() },
		Features:  transport.Features{AckWaitUnit: time.Second},
		ClusterID: server.clusterID,
		URL:       server.url,
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
		Parallel:  true,
	})
}
