package eventtest

import (
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// parcel is one delivery on its way through a listener: the broker's end of it,
// which notes what becomes of it.
type parcel struct {
	line      *line
	concluded chan struct{} // closed when the handler has returned, or will not be called
	once      sync.Once

	mu       sync.Mutex
	begun    bool // its handler
	returned bool
	over     bool // the listener is done with it, or leaves it open
	failed   bool
	acked    bool
	retried  bool
	delay    time.Duration // until it comes again
	reason   events.DeadLetterReason
	err      error
}

var _ transport.Settler = (*parcel)(nil)

// settle notes how it was settled, if the broker can do that and it is not too late.
func (p *parcel) settle(supported bool, note func()) error {
	switch {
	case !supported:
		return transport.ErrUnsupported
	case p.line.Err() != nil, p.line.bus.client.Err() != nil:
		return transport.ErrSubscriptionClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	note()
	return nil
}

func (p *parcel) features() transport.Features {
	return access.Session(p.line.bus.client).Conn.Features()
}

// Ack implements transport.Settler.
func (p *parcel) Ack() error {
	return p.settle(true, func() { p.acked = true })
}

// Nak implements transport.Settler.
func (p *parcel) Nak(delay time.Duration) error {
	return p.settle(p.features().Nak, func() { p.retried, p.delay = true, delay })
}

// InProgress implements transport.Settler. There is no ack wait to begin anew:
// what a test delivers comes again only if the test does so.
func (p *parcel) InProgress() error {
	return p.settle(p.features().InProgress, func() {})
}

// Term implements transport.Settler.
func (p *parcel) Term(string) error {
	return p.settle(p.features().Term, func() { p.acked = true })
}

// Release implements transport.Settler.
func (*parcel) Release() {}

// observe takes in what the listener does with the event.
func (p *parcel) observe(o observe.Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch o.Kind {
	case observe.Begun:
		p.begun = true
	case observe.Returned:
		p.returned = true
		p.over = p.over || o.Open
		if o.Err != nil {
			p.err = o.Err
		}
	case observe.Failed:
		if !p.failed { // a second one says that its dead letter is not stored
			p.failed, p.err = true, o.Err
		}
		if o.Retry {
			p.retried, p.delay, p.over = true, o.RetryIn, true
		}
	case observe.DeadLettered:
		p.reason = events.DeadLetterReason(o.Reason)
	case observe.Skipped:
		if o.Reason != observe.SkipHandled { // which is acknowledged
			p.err, p.over = o.Err, true
		}
	case observe.Settled:
		p.over = true
		if o.Err != nil {
			p.err = o.Err
		}
	default:
	}
	if p.over && p.begun == p.returned {
		p.once.Do(func() { close(p.concluded) })
	}
}

// open tells whether it was left to a handler with ManualAck that has not settled
// it so far.
func (p *parcel) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.acked && !p.retried && p.err == nil
}

func (p *parcel) outcome() Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.reason != "":
		return Outcome{Kind: DeadLettered, Reason: p.reason, Err: p.err}
	case p.acked:
		return Outcome{Kind: Acknowledged, Err: p.err}
	case p.retried:
		return Outcome{Kind: Retried, RetryIn: p.delay, Err: p.err}
	default:
		return Outcome{Kind: Retried, RetryIn: p.line.config.AckWait, Err: p.err}
	}
}

// parcelKey tells the deliveries of a bus apart, as observers see them.
type parcelKey struct {
	subject  string
	sequence uint64
	stored   int64
}

// parcels are the deliveries of a bus that observers are told of. The zero value is
// ready.
type parcels struct {
	mu    sync.Mutex
	known map[parcelKey]*parcel
}

func (ps *parcels) add(d transport.Delivery, p *parcel) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.known == nil {
		ps.known = make(map[parcelKey]*parcel)
	}
	ps.known[parcelKey{d.Subject, d.Sequence, d.Timestamp.UnixNano()}] = p
}

// Observe implements observe.Observer.
func (ps *parcels) Observe(o observe.Observation) {
	ps.mu.Lock()
	p := ps.known[parcelKey{string(o.Subject), o.Sequence, o.Timestamp.UnixNano()}]
	ps.mu.Unlock()
	if p != nil {
		p.observe(o)
	}
}
