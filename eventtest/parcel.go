package eventtest

import (
	"github.com/sgtickets/common/internal/access"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// parcel is one delivery on its way through a listener: the broker's end of it,
// which notes what becomes of it.
type parcel struct {
	line      *line
	concluded chan struct{} // closed when the handler has returned, or will not be called
	once      sync.Once

	mu      sync.Mutex
	acked   bool
	retried bool
	delay   time.Duration // until it comes again
	reason  events.DeadLetterReason
	err     error
}

var (
	_ transport.Settler = (*parcel)(nil)
	_ session.Observer  = (*parcel)(nil)
)

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

// Failed implements session.Observer.
func (p *parcel) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Retried implements session.Observer.
func (p *parcel) Retried(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retried, p.delay = true, delay
}

// DeadLettered implements session.Observer.
func (p *parcel) DeadLettered(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason = events.DeadLetterReason(reason)
}

// Concluded implements session.Observer.
func (p *parcel) Concluded() { p.once.Do(func() { close(p.concluded) }) }

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
