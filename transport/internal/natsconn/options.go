package natsconn

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

// With these pings a link that is dead is noticed within ping*(pings+1). With nats.go's own
// defaults that takes six minutes, and coming back 2 s.
const (
	ping  = time.Second
	pings = 3
	// writeDeadline bounds a write into a socket that takes nothing. nats.go holds its lock
	// meanwhile, and all its other methods wait for that lock.
	writeDeadline = 2 * time.Second
)

// Again is the backoff between attempts to reconnect, unless the caller's options set
// another. It is so short that a server that is back has its clients back within half a
// second.
var Again = backoff.Policy{First: 100 * time.Millisecond, Max: 400 * time.Millisecond}

// untouched is the value of a number that no option has set.
const untouched = -7_070_707

// buildOptions returns nats.go's defaults, changed first by the transport and then by the
// caller's options. If a caller's option sets what the transport must decide by itself, the
// error names that option: overriding it silently would mislead the caller.
func buildOptions(apply func(*nats.Options), user []nats.Option) (nats.Options, error) {
	ours := nats.GetDefaultOptions()
	ours.PingInterval, ours.MaxPingsOut = ping, pings
	ours.FlusherTimeout = writeDeadline
	ours.ReconnectOnFlusherError = true // a failed write loses what it was to carry, such as a SUB
	apply(&ours)

	o := ours
	clearCallbacks(&o)
	for _, opt := range user {
		if opt == nil {
			continue // as nats.Connect does
		}
		o.MaxReconnect, o.ReconnectBufSize = untouched, untouched
		if err := opt(&o); err != nil {
			return o, fmt.Errorf("%w NATS option: %w", transport.ErrInvalid, err)
		}
		if err := refuse(&o); err != nil {
			return o, err
		}
	}
	// nats.go never gives up reconnecting, and buffers nothing meanwhile: a publish that was
	// reported as failed must not be sent later.
	o.MaxReconnect, o.ReconnectBufSize = -1, -1
	// Nor does it because a server refuses the credentials: they may be replaced at the server,
	// or in the files of the client, at any time. nats.go reads those at each attempt.
	o.IgnoreAuthErrorAbort = true
	if o.CustomReconnectDelayCB == nil && o.ReconnectWait == ours.ReconnectWait {
		o.CustomReconnectDelayCB = Again.Delay
		if o.ReconnectToServerCB == nil {
			o.ReconnectToServerCB = ours.ReconnectToServerCB
		}
	}
	chainCallbacks(&o, &ours)
	return o, nil
}

func refuse(o *nats.Options) error {
	for _, setting := range []struct {
		set          bool
		name, remedy string
	}{
		{o.MaxReconnect != untouched, "MaxReconnects", "reconnecting never gives up; bound the first connect by Build's context"},
		{!o.AllowReconnect, "NoReconnect", "reconnecting never gives up; close the client to end it"},
		{o.ReconnectBufSize != untouched, "ReconnectBufSize", "nothing is buffered below the publisher, so that no publish is sent twice"},
		{o.RetryOnFailedConnect, "RetryOnFailedConnect", "Build itself keeps trying until its context is done"},
		{o.Url != "" || o.Servers != nil, "Url or Servers", "give the servers as Build's URL, separated by commas"},
	} {
		if setting.set {
			return fmt.Errorf("%w NATS option: %s can't be set: %s", transport.ErrInvalid, setting.name, setting.remedy)
		}
	}
	return nil
}
