package proxy_test

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/devserver/faults/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	// silence is how long nothing may come where nothing should.
	silence = 100 * time.Millisecond
)

// peer is one end of a connection.
type peer struct{ *net.TCPConn }

func (p peer) say(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(p, text)
	require.NoError(t, err)
}

func (p peer) hears(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(text))
	_, err := io.ReadFull(p, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func (p peer) hearsNothing(t *testing.T) {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(silence)))
	n, err := p.Read(make([]byte, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// ends returns the error of the connection's end.
func (p peer) ends(t *testing.T) error {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(patience)))
	n, err := p.Read(make([]byte, 1))
	require.Zero(t, n)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is still open")
	return err
}

type fixture struct {
	*proxy.Proxy

	server net.Listener
}

func start(t *testing.T) fixture {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := proxy.Start(server.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Close()
		require.Zero(t, p.Connections())
		_ = server.Close()
	})
	return fixture{p, server}
}

func (f fixture) dial(t *testing.T) peer {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return peer{c.(*net.TCPConn)}
}

func (f fixture) accept(t *testing.T) peer {
	t.Helper()
	require.NoError(t, f.server.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	c, err := f.server.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return peer{c.(*net.TCPConn)}
}

// isRefused tries to connect, which fails then or soon after.
func (f fixture) isRefused(t *testing.T) {
	t.Helper()
	if c, err := net.Dial("tcp", f.Addr()); err == nil {
		require.Error(t, peer{c.(*net.TCPConn)}.ends(t))
		require.NoError(t, c.Close())
	}
}

// pair is a connection through the proxy that works.
func (f fixture) pair(t *testing.T) (client, server peer) {
	t.Helper()
	client, server = f.dial(t), f.accept(t)
	f.works(t, client, server)
	return client, server
}

func (fixture) works(t *testing.T, client, server peer) {
	t.Helper()
	client.say(t, "to the server")
	server.hears(t, "to the server")
	server.say(t, "to the client")
	client.hears(t, "to the client")
}

func TestMuch(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	const bytes = 8 << 20
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = client.Write(make([]byte, bytes))
		_ = client.CloseWrite()
	})
	n, err := io.Copy(io.Discard, server)
	wg.Wait()
	require.NoError(t, err)
	require.EqualValues(t, bytes, n)
}

func TestAnEndIsHandedOn(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	require.NoError(t, client.CloseWrite())
	require.ErrorIs(t, server.ends(t), io.EOF)
	server.say(t, "after")
	client.hears(t, "after")
	require.NoError(t, server.Close())
	require.ErrorIs(t, client.ends(t), io.EOF)
	require.Eventually(t, func() bool { return f.Connections() == 0 }, patience, time.Millisecond)
}

func TestCut(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	f.Cut()
	require.Error(t, client.ends(t))
	require.Error(t, server.ends(t))
	f.pair(t)
}

func TestRefuse(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	f.Refuse(true)
	f.isRefused(t)
	f.works(t, client, server)
	f.Refuse(false)
	f.pair(t)
}

func TestNobodyListens(t *testing.T) {
	f := start(t)
	address := f.server.Addr().String()
	require.NoError(t, f.server.Close())
	f.isRefused(t)
	var err error
	f.server, err = net.Listen("tcp", address)
	require.NoError(t, err)
	f.pair(t)
	require.NoError(t, f.server.Close())
}

func TestStall(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	f.Stall(true)
	client.say(t, "a")
	server.say(t, "b")
	late := f.dial(t)
	late.say(t, "c")
	client.hearsNothing(t)
	server.hearsNothing(t)
	late.hearsNothing(t)
	require.NoError(t, client.CloseWrite())
	server.hearsNothing(t)

	f.Stall(false)
	server.hears(t, "a")
	client.hears(t, "b")
	f.accept(t).hears(t, "c")
	require.ErrorIs(t, server.ends(t), io.EOF, "after all that was sent before it")
}

// TestStallThenCut: what was on its way is gone.
func TestStallThenCut(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	f.Stall(true)
	client.say(t, "a")
	client.hearsNothing(t)
	f.Cut()
	f.Stall(false)
	require.Error(t, server.ends(t))
}

func TestDrop(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	f.Drop()
	client.say(t, "a")
	server.say(t, "b")
	client.hearsNothing(t)
	server.hearsNothing(t)
	f.pair(t)
	require.NoError(t, client.Close())
	server.hearsNothing(t)
}

func TestHalfClose(t *testing.T) {
	for name, d := range map[string]proxy.Direction{"to server": proxy.ToServer, "to client": proxy.ToClient} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			client, server := f.pair(t)
			closed, open := server, client
			if d == proxy.ToClient {
				closed, open = client, server
			}
			f.HalfClose(d)
			require.ErrorIs(t, closed.ends(t), io.EOF)
			closed.say(t, "the other way")
			open.hears(t, "the other way")
		})
	}
}

func TestDelay(t *testing.T) {
	f := start(t)
	client, server := f.pair(t)
	const slow = 150 * time.Millisecond
	f.Delay(slow, 0)
	begun := time.Now()
	client.say(t, "a")
	server.hears(t, "a")
	require.GreaterOrEqual(t, time.Since(begun), slow)
	f.Delay(0, slow)
	begun = time.Now()
	server.say(t, "b")
	client.hears(t, "b")
	require.GreaterOrEqual(t, time.Since(begun), slow)
	f.Delay(0, 0)
	f.works(t, client, server)
}
