package jetstream

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// fakeNATS is a NATS connection that notes what is sent over which connection.
type fakeNATS struct {
	mu      sync.Mutex
	current int            // the number of the connection
	sent    map[string]int // by ticket: the connection over which it was sent last
	fails   error          // what PublishMsg returns
	forced  int            // how often a reconnect was forced
}

func (f *fakeNATS) PublishMsg(m *nats.Msg) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		return f.fails
	}
	ticket, _, _ := strings.Cut(strings.TrimPrefix(m.Reply, "answers."), "-")
	f.sent[ticket] = f.current
	return nil
}

func (*fakeNATS) MaxPayload() int64 { return 1 << 20 }

func (f *fakeNATS) ForceReconnect() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forced++
	return nil
}

func (f *fakeNATS) replace(fails error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current++
	f.fails = fails
}

// connected returns a sender whose writer runs until the test ends.
func connected(t *testing.T) (*sender, *fakeNATS) {
	t.Helper()
	link := &fakeNATS{sent: make(map[string]int)}
	s := newSender(publishPolicy(func() time.Duration { return time.Minute }))
	s.attach(link, "answers.")
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { s.write(done) })
	t.Cleanup(func() {
		close(done)
		writer.Wait()
		s.end(transport.ErrClosed)
	})
	return s, link
}

// TestEachPublishIsSentOverTheLatestConnection though the connection is replaced while many
// publishes are made: one that is made just then is not forgotten. With many that are
// pending, a sender that lists them and changes its queue under two locks forgets some in
// nearly each round.
func TestEachPublishIsSentOverTheLatestConnection(t *testing.T) {
	t.Parallel()
	const rounds, before, meanwhile = 100, 500, 200
	for range rounds {
		link := &fakeNATS{sent: make(map[string]int)}
		s := newSender(publishPolicy(func() time.Duration { return time.Minute }))
		s.attach(link, "answers.")
		publish := func(n int) {
			for range n {
				_, err := s.publish(transport.Message{Subject: "c", ID: "id"}, transport.ReceiptFunc(func(error) {}))
				assert.NoError(t, err)
			}
		}
		publish(before)
		link.replace(nil)

		start := make(chan struct{})
		var both sync.WaitGroup
		both.Go(func() { <-start; publish(meanwhile) })
		both.Go(func() { <-start; s.onReconnect() })
		close(start)
		both.Wait()

		s.writeDue(&nats.Msg{})
		for n := range before + meanwhile {
			connection, sent := link.sent[strconv.FormatUint(uint64(n+1), 36)]
			require.True(t, sent, "publish %d was never sent", n+1)
			require.Equal(t, link.current, connection, "publish %d was not sent over the latest connection", n+1)
		}
		s.end(transport.ErrClosed)
	}
}

// TestSenderSendsAgain what found no connection, what nobody answers, and what nobody
// takes.
func TestSenderSendsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, link := connected(t)
		link.replace(nats.ErrReconnectBufExceeded)
		ticket, err := s.publish(transport.Message{Subject: "c", ID: "id"}, transport.ReceiptFunc(func(error) {}))
		require.NoError(t, err)
		sentOver := func() int {
			synctest.Wait()
			link.mu.Lock()
			defer link.mu.Unlock()
			return link.sent["1"]
		}
		time.Sleep(time.Minute)
		require.Zero(t, sentOver())
		require.Zero(t, link.forced, "there is no connection that could be replaced")

		link.replace(nil) // 2
		s.onReconnect()
		require.Equal(t, 2, sentOver())

		link.replace(nil) // 3, of which the sender hears nothing
		time.Sleep(silence - time.Millisecond)
		require.Equal(t, 2, sentOver())
		time.Sleep(silence + time.Millisecond) // it looks once in that time
		require.Equal(t, 3, sentOver())

		link.replace(nil) // 4
		require.True(t, s.retry(ticket, 3))
		time.Sleep(unansweredWait - time.Millisecond)
		require.Equal(t, 3, sentOver())
		time.Sleep(time.Millisecond)
		require.Equal(t, 4, sentOver())

		link.replace(nats.ErrInvalidConnection)
		s.onReconnect()
		synctest.Wait()
		require.Equal(t, 1, link.forced, "a write that failed needs another connection")
		require.ErrorIs(t, s.abandon(ticket).Err(), transport.ErrOutcomeUnknown)
	})
}
