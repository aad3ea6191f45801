package integration_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
)

// soon is less than the ack wait of the tests here.
const soon = 30 * time.Second

// TestJetStreamLostAcknowledgements: what went down with the link is sent again when it is
// back, so that nothing comes a second time when its ack wait has passed.
func TestJetStreamLostAcknowledgements(t *testing.T) {
	t.Parallel()
	refuse := func(p *proxy.Proxy) { p.Refuse(true); p.Cut() }
	accept := func(p *proxy.Proxy) { p.Refuse(false) }
	t.Run("written into a dead link", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		lostOnJetStream[tag](t, (*proxy.Proxy).Drop, func(*proxy.Proxy) {}, false)
	})
	t.Run("refused while the link was away", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		lostOnJetStream[tag](t, refuse, accept, false)
	})
	t.Run("the listener ends meanwhile", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		lostOnJetStream[tag](t, refuse, accept, true)
	})
}

func lostOnJetStream[Tag any](t *testing.T, cut, mend func(*proxy.Proxy), end bool) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	between, url := startProxy(t, s.url)
	there := s.connect(t, subject)
	here := s.through(url).connect(t, subject)
	name, first := group(), newWaiting()
	const n = 20
	member := listen(t, here, name, holdUp[Tag](first), listener.Concurrency(n), listener.MaxInFlight(n), listener.AckWait(2*soon))
	publish[Tag](t, there, n)
	for range n {
		<-first.begun
	}
	cut(between)
	close(first.gate)
	require.Eventually(t, func() bool { return len(first.all()) == n }, patience, time.Millisecond)
	ended := make(chan error, 1)
	if end {
		member.stop()
		go func() { ended <- <-member.ended }()
	}
	mend(between)
	require.Eventually(t, func() bool { return s.consumer(t, subject, name).NumAckPending == 0 }, soon, 10*time.Millisecond)
	require.Zero(t, s.consumer(t, subject, name).NumRedelivered)
	require.EqualValues(t, n, s.consumer(t, subject, name).AckFloor.Stream)
	if end {
		require.NoError(t, <-ended)
	}
}

// TestJetStreamLostNak: an event that was given back while the link was away comes again when
// its delay has passed, not when its ack wait has.
func TestJetStreamLostNak(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	between, url := startProxy(t, s.url)
	c := s.through(url).connect(t, subject)
	var runs atomic.Int32
	refused := make(chan error, 10)
	begun, gate, again := make(chan struct{}), make(chan struct{}), make(chan struct{})
	listen(t, c, group(), func(context.Context, note[tag], listener.Delivery) error {
		if runs.Add(1) == 1 {
			close(begun)
			<-gate
			return listener.RetryAfter(100*time.Millisecond, errors.New("not yet"))
		}
		close(again)
		return nil
	}, listener.AckWait(2*soon), listener.Observe(observe.Func(func(o observe.Observation) {
		if o.Kind == observe.Settled && o.Reason == observe.SettleNak {
			refused <- o.Err
		}
	})))
	publish[tag](t, c, 1)
	<-begun
	between.Refuse(true)
	between.Cut()
	require.Eventually(t, func() bool { return c.Status().State == client.Reconnecting }, patience, time.Millisecond)
	close(gate)
	require.ErrorContains(t, <-refused, "acknowledgement not sent")
	between.Refuse(false)
	select {
	case <-again:
	case <-time.After(soon):
		require.Fail(t, "the event did not come again")
	}
}
