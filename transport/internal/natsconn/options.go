package natsconn

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

// Where nats.go's own defaults take six minutes to find a link that is dead without
// a word, and 2 s to come back, pings find it within ping*(pings+1).
const (
	ping  = time.Second
	pings = 3
	// writeDeadline bounds a write into a socket that takes nothing: nats.go holds its
	// lock meanwhile, and everything else waits for that.
	writeDeadline = 2 * time.Second
)

// Again spaces out the attempts to come back, unless the caller's options do. They
// are so close to one another that a server that is back has its clients back within
// half a second.
var Again = backoff.Policy{First: 100 * time.Millisecond, Max: 400 * time.Millisecond}

// untouched marks a number that no option has set.
const untouched = -7_070_707

// buildOptions returns nats.go's defaults, with the transport's own settings,
// then the caller's. An option that sets what the transport must decide by
// itself is refused by name, rather than overridden in silence.
func buildOptions(apply func(*nats.Options), user []nats.Option) (nats.Options, error) {
	ours := nats.GetDefaultOptions()
	ours.PingInterval, ours.MaxPingsOut = ping, pings
	ours.FlusherTimeout = writeDeadline
	ours.ReconnectOnFlusherError = true // what a failed write was to carry, a SUB say, is gone
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
	// Reconnecting never gives up, and nothing is buffered for it: a publish that
	// was reported as failed must not go out later.
	o.MaxReconnect, o.ReconnectBufSize = -1, -1
	if o.CustomReconnectDelayCB == nil && o.ReconnectWait == ours.ReconnectWait {
		o.CustomReconnectDelayCB = Again.Delay
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
