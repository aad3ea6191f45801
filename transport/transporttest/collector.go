package transporttest

import (
	"context"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// collector is a subscription that collects its deliveries until the case takes them.
type collector struct {
	transport.Subscription
	c       *caseRun
	arrived chan transport.Delivery
	ackWait time.Duration

	mu    sync.Mutex
	first map[uint64]time.Time // when each sequence was first delivered
}

// subscribe makes a subscription that is closed at the end of the case.
func (c *caseRun) subscribe(conn transport.Conn, s transport.SubscribeConfig) *collector {
	c.Helper()
	in := &collector{c: c, arrived: make(chan transport.Delivery, 100_000), ackWait: s.AckWait, first: make(map[uint64]time.Time)}
	sub, err := conn.Subscribe(c.context(), s, in.collect)
	if err != nil {
		c.Fatalf("subscribe: %v", err)
	}
	in.Subscription = sub
	c.Cleanup(in.close)
	return in
}

// close closes the subscription.
func (in *collector) close() {
	in.c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	if err := in.Close(ctx); err != nil {
		in.c.Errorf("close subscription: %v", err)
	}
}

// next returns the next delivery, and fails the case if none comes.
func (in *collector) next() transport.Delivery {
	in.c.Helper()
	d, ok := in.receive(caseTimeout)
	if !ok {
		in.c.Fatal("nothing was delivered")
	}
	return d
}

// receive returns the next delivery if one comes within that time.
func (in *collector) receive(within time.Duration) (transport.Delivery, bool) {
	select {
	case d := <-in.arrived:
		return d, true
	case <-time.After(within):
		return transport.Delivery{}, false
	}
}

// collect keeps a delivery for the case.
//
// A message that is stored while a member joins its group may be sent twice in a row by
// a broker without negative acknowledgement: NATS Streaming's performDurableRedelivery
// does so. collect skips the second of the two. It can tell when the delivery arrives: the
// case may take it much later.
func (in *collector) collect(d transport.Delivery) {
	if !in.isJoinDuplicate(d) {
		in.arrived <- d
	}
}

// isJoinDuplicate reports whether d, which has just arrived, is that second delivery.
func (in *collector) isJoinDuplicate(d transport.Delivery) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	first, had := in.first[d.Sequence]
	if !had {
		in.first[d.Sequence] = time.Now()
	}
	return had && d.Redelivered && d.Deliveries == 2 && !in.c.h.Features.Nak && time.Since(first) < in.ackWait/2
}

// take returns the next n deliveries, without settling them.
func (in *collector) take(n int) []transport.Delivery {
	in.c.Helper()
	deliveries := make([]transport.Delivery, n)
	for i := range deliveries {
		deliveries[i] = in.next()
	}
	return deliveries
}

// expect takes as many deliveries as there are texts and acknowledges them. It fails the
// case unless they hold these texts in this order.
func (in *collector) expect(texts ...string) {
	in.c.Helper()
	for _, text := range texts {
		d := in.next()
		if string(d.Data) != text {
			in.c.Fatalf("delivered %q, want %q (of %q)", d.Data, text, texts)
		}
		in.c.ack(d)
	}
}

// expectNothing fails the case if something is delivered within d.
func (in *collector) expectNothing(d time.Duration, why string) {
	in.c.Helper()
	if got, ok := in.receive(d); ok {
		in.c.Fatalf("%q was delivered: %s", got.Data, why)
	}
}
