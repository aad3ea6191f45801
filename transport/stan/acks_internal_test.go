package stan

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestAckInboxOf: only stan.go's own subscriptions have one, once the server has told it.
func TestAckInboxOf(t *testing.T) {
	t.Parallel()
	for _, unknown := range []stan.Subscription{nil, &simInner{}, &innerSubscription{}, struct{ stan.Subscription }{}} {
		_, err := ackInboxOf(unknown)
		require.ErrorIs(t, err, transport.ErrUnsupported)
	}
}

// TestRemembers: a member may get more than MaxInFlight says.
func TestRemembers(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1024, remembers(1))
	require.Equal(t, 20_000, remembers(10_000))
}

// answering is a subscription that is closed with these results, one after the other.
type answering struct {
	stan.Subscription

	results []error
}

func (a *answering) Close() error {
	err := a.results[0]
	a.results = a.results[1:]
	return err
}

// TestCloseOfWhatTheServerDoesNotKnow: the server has carried out an earlier request, or its
// store is another one. After a restart nobody can say which.
func TestCloseOfWhatTheServerDoesNotKnow(t *testing.T) {
	t.Parallel()
	unknown := errors.New(errUnknownSubscription)
	for name, c := range map[string]struct {
		earlier   error // the result of an earlier request; nil: there was none
		restarted bool
		forgotten bool
	}{
		"the first request":                                  {forgotten: true},
		"an earlier request was not answered":                {earlier: stan.ErrCloseReqTimeout},
		"an earlier request was not sent":                    {earlier: nats.ErrReconnectBufExceeded, forgotten: true},
		"an earlier one was not answered; another server":    {earlier: stan.ErrCloseReqTimeout, restarted: true, forgotten: true},
		"the first request to a server that was started now": {restarted: true, forgotten: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, restart := connectToRestarting(t)
			inner := newInnerSubscription(&stanGoSession{nc: nc}, transport.SubscribeConfig{})
			results := &answering{results: []error{unknown}}
			inner.Subscription = results
			if c.earlier != nil {
				results.results = []error{c.earlier, unknown}
				require.ErrorIs(t, inner.Close(), c.earlier)
			}
			if c.restarted {
				restart()
			}
			require.Equal(t, c.forgotten, isForgotten(inner.Close()))
		})
	}
}

// connectToRestarting connects to a NATS server that has another ID with each connection.
// restart cuts the connection, and returns when there is another one.
func connectToRestarting(t *testing.T) (nc *nats.Conn, restart func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan net.Conn, 1)
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
			fmt.Fprintf(c, "INFO {\"server_id\":\"server-%d\",\"max_payload\":1048576}\r\n", n)
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "PING") {
					fmt.Fprint(c, "PONG\r\n")
				}
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	nc, err = nats.Connect(l.Addr().String(), nats.ReconnectWait(time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, func() {
		require.NoError(t, (<-accepted).Close())
		require.Eventually(t, func() bool { return nc.ConnectedServerId() == "server-2" }, time.Minute, time.Millisecond)
	}
}
