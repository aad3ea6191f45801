package eventtest

import (
	"context"

	"github.com/sgtickets/common/transport"
)

// busConn is the connection of a bus. When a listener subscribes that Deliver made listen,
// it gets the fake subscription of that Deliver instead of one to the broker.
type busConn struct {
	transport.Conn

	bus *Bus
}

// Subscribe implements transport.Conn.
func (c *busConn) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if fake, ok := ctx.Value(fakeKey{}).(*fakeSubscription); ok && fake.claimed.CompareAndSwap(false, true) {
		if fake.bus != c.bus {
			return nil, errForeign
		}
		if err := c.Err(); err != nil {
			return nil, err
		}
		fake.open(c.Features(), s, deliver)
		return fake, nil
	}
	sub, err := c.Conn.Subscribe(ctx, s, deliver)
	if err == nil {
		c.bus.addReal(sub)
	}
	return sub, err
}
