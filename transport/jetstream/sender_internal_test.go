package jetstream

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
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

// TestEachPublishIsSentOverTheLatestConnection though connections are replaced while many
// goroutines publish: one that is made during a reconnect is not forgotten.
func TestEachPublishIsSentOverTheLatestConnection(t *testing.T) {
	t.Parallel()
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			s, link := connected(t)
			const publishers, each = 4, 20
			var all sync.WaitGroup
			for range publishers {
				all.Go(func() {
					for range each {
						_, err := s.publish(transport.Message{Subject: "c", ID: "id"}, transport.ReceiptFunc(func(error) {}))
						require.NoError(t, err)
					}
				})
			}
			all.Go(func() {
				for range 10 {
					s.onDisconnect()
					link.replace(nil)
					s.onReconnect()
				}
			})
			all.Wait()
			synctest.Wait() // until the writer has nothing to do, and long before silence
			link.mu.Lock()
			defer link.mu.Unlock()
			for n := range publishers * each {
				connection, sent := link.sent[strconv.FormatUint(uint64(n+1), 36)]
				require.True(t, sent, "publish %d was never sent", n+1)
				require.Equal(t, link.current, connection, "publish %d was not sent over the latest connection", n+1)
			}
		})
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

// TestAnswerTokens: an answer is for the attempt whose token it has.
func TestAnswerTokens(t *testing.T) {
	t.Parallel()
	ticket, attempt, ok := readAnswerToken(answerToken(1<<63, 7))
	require.True(t, ok)
	require.Equal(t, transport.Ticket(1<<63), ticket)
	require.EqualValues(t, 7, attempt)
	for _, token := range []string{"", "1", "1-", "-1", "!-1", "1-!"} {
		_, _, ok := readAnswerToken(token)
		require.False(t, ok, token)
	}
}
