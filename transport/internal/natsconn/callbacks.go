package natsconn

import "github.com/nats-io/nats.go"

// clearCallbacks removes the transport's callbacks, so that whatever is set afterwards is the
// caller's.
func clearCallbacks(o *nats.Options) {
	o.ClosedCB = nil
	o.DisconnectedCB = nil
	o.DisconnectedErrCB = nil
	o.ConnectedCB = nil
	o.ReconnectedCB = nil
	o.DiscoveredServersCB = nil
	o.AsyncErrorCB = nil
	o.ReconnectErrCB = nil
	o.LameDuckModeHandler = nil
	o.ReconnectToServerCB = nil
}

// chainCallbacks makes each callback of o, which is the caller's, run after the same callback
// of ours.
func chainCallbacks(o, ours *nats.Options) {
	// nats.go ignores the deprecated DisconnectedCB where DisconnectedErrCB is
	// set, and ours is always set.
	if plain := o.DisconnectedCB; plain != nil && o.DisconnectedErrCB == nil {
		o.DisconnectedErrCB = func(nc *nats.Conn, _ error) { plain(nc) }
	}
	o.DisconnectedErrCB = chainErr(ours.DisconnectedErrCB, o.DisconnectedErrCB)
	o.ReconnectErrCB = chainErr(ours.ReconnectErrCB, o.ReconnectErrCB)
	o.ClosedCB = chain(ours.ClosedCB, o.ClosedCB)
	o.ConnectedCB = chain(ours.ConnectedCB, o.ConnectedCB)
	o.ReconnectedCB = chain(ours.ReconnectedCB, o.ReconnectedCB)
	o.DiscoveredServersCB = chain(ours.DiscoveredServersCB, o.DiscoveredServersCB)
	o.LameDuckModeHandler = chain(ours.LameDuckModeHandler, o.LameDuckModeHandler)
	if mine, theirs := ours.AsyncErrorCB, o.AsyncErrorCB; mine != nil && theirs != nil {
		o.AsyncErrorCB = func(nc *nats.Conn, sub *nats.Subscription, err error) {
			mine(nc, sub, err)
			theirs(nc, sub, err)
		}
	} else if theirs == nil {
		o.AsyncErrorCB = mine
	}
}

func chain(first, second nats.ConnHandler) nats.ConnHandler {
	if first == nil || second == nil {
		if first == nil {
			return second
		}
		return first
	}
	return func(nc *nats.Conn) {
		first(nc)
		second(nc)
	}
}

func chainErr(first, second nats.ConnErrHandler) nats.ConnErrHandler {
	if first == nil || second == nil {
		if first == nil {
			return second
		}
		return first
	}
	return func(nc *nats.Conn, err error) {
		first(nc, err)
		second(nc, err)
	}
}
