package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/jetstream"
)

// startProxy returns a proxy to the server of that URL, and its own URL.
func startProxy(t *testing.T, url string) (*proxy.Proxy, string) {
	t.Helper()
	p, err := proxy.Start(strings.TrimPrefix(url, "nats://"))
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, "nats://" + p.Addr()
}

// through is the stream seen through the proxy.
func (s *jetStream) through(url string) *jetStream {
	return &jetStream{url: url, name: s.name, nc: s.nc, raw: s.raw}
}

// update changes the stream.
func (s *jetStream) update(t *testing.T, change func(*js.StreamConfig)) {
	t.Helper()
	config := s.info(t).Config
	change(&config)
	_, err := s.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
}

// answer answers publishes in place of the stream, which stores them and is silent:
// each with the next of the texts, and what comes after those not at all.
func (s *jetStream) answer(t *testing.T, subject string, texts ...string) (answered chan int) {
	t.Helper()
	s.update(t, func(c *js.StreamConfig) { c.NoAck = true })
	answered = make(chan int, 100)
	n := 0
	sub, err := s.nc.Subscribe(subject, func(m *nats.Msg) {
		if n < len(texts) {
			assert.NoError(t, m.Respond([]byte(texts[n])))
		}
		n++
		answered <- n
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(t, s.nc.FlushWithContext(deadline(t)))
	return answered
}

const inProcess = `{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"}}`

// TestJetStreamInProcess: that a cluster has not agreed yet on a publish that was
// sent before is no outcome.
func TestJetStreamInProcess(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	answered := s.answer(t, subject, inProcess, fmt.Sprintf(`{"stream":%q,"seq":1,"duplicate":true}`, s.name), inProcess)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1}), "it is asked again")
	<-answered
	<-answered

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-answered
		cancel()
	}()
	err = p.Publish(ctx, note[tag]{N: 2})
	require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, publisher.ErrNotStored)
}

// TestJetStreamStoredThenNobody: when the answer to a publish is lost and later
// nobody takes it any more, it may have been stored. What nobody took the first
// time was not.
func TestJetStreamStoredThenNobody(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	s.update(t, func(c *js.StreamConfig) { c.NoAck = true })
	stored, err := p.PublishAsync(deadline(t), note[tag]{N: 1})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.info(t).State.Msgs == 1 }, patience, 10*time.Millisecond)
	s.update(t, func(c *js.StreamConfig) { c.Subjects = []string{subject + ".else"} })
	never, err := p.PublishAsync(deadline(t), note[tag]{N: 2})
	require.NoError(t, err)

	err = stored.Wait(deadline(t))
	require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, never.Wait(deadline(t)), publisher.ErrNotStored)
	require.Equal(t, uint64(1), s.info(t).State.Msgs)
}

// freezer dials links that, while it is on, take nothing: a write waits as long as
// it may.
type freezer struct{ on atomic.Bool }

func (f *freezer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &freezing{Conn: c, freezer: f}, err
}

type freezing struct {
	net.Conn

	freezer *freezer
	until   atomic.Int64
}

func (c *freezing) SetWriteDeadline(t time.Time) error {
	c.until.Store(t.UnixNano())
	return nil
}

func (c *freezing) Write(b []byte) (int, error) {
	if c.freezer.on.Load() {
		time.Sleep(time.Until(time.Unix(0, c.until.Load())))
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Write(b)
}

// TestJetStreamFrozenLink: a publish does not outlive its context when the link
// takes nothing.
func TestJetStreamFrozenLink(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	link := &freezer{}
	c := s.connect(t, subject, client.NATS(nats.SetCustomDialer(link)))
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	link.on.Store(true)
	text := strings.Repeat("x", 100_000) // more than nats.go holds before it writes
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			begun := time.Now()
			assert.ErrorIs(t, p.Publish(ctx, note[tag]{Text: text}), context.DeadlineExceeded)
			assert.Less(t, time.Since(begun), 1900*time.Millisecond, "a write into the link ends after 2 s")
		})
	}
	wg.Wait()
	link.on.Store(false)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1}))
}

// TestJetStreamCloseWhileAway: what was published while the connection is away is
// stored when it comes back, also when the client is being closed.
func TestJetStreamCloseWhileAway(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	link, url := startProxy(t, s.url)
	c, err := client.Build(deadline(t), s.name, "closing", url, quiet(), client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject)))
	require.NoError(t, err)
	events := watch(t, c)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	link.Refuse(true)
	link.Cut()
	events.until(t, client.EventDisconnected)
	pending := make([]*publisher.Pending, 5)
	for n := range pending {
		pending[n], err = p.PublishAsync(deadline(t), note[tag]{N: n})
		require.NoError(t, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close(deadline(t)) }()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		return errors.Is(p.Publish(ctx, note[tag]{}), client.ErrClosed)
	}, patience, time.Millisecond, "it is being closed")
	link.Refuse(false)
	for _, one := range pending {
		require.NoError(t, one.Wait(deadline(t)))
	}
	require.NoError(t, <-closed)
	require.Equal(t, uint64(5), s.info(t).State.Msgs)
}
