package devserver

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While the server is down another process may get its port.
func TestRestartWaitsForItsPort(t *testing.T) {
	s, err := Start(StoreDir(t.TempDir()))
	require.NoError(t, err)
	defer s.Shutdown()
	s.conf.portWait = 200 * time.Millisecond

	s.stop()
	l, err := net.Listen("tcp", s.URL()[len("nats://"):])
	require.NoError(t, err)
	assert.ErrorContains(t, s.Restart(), "address already in use")

	s.conf.portWait = 10 * time.Second
	time.AfterFunc(100*time.Millisecond, func() { _ = l.Close() })
	assert.NoError(t, s.Restart(), "it can be tried again")
}

func TestStartErrorTellsTheCause(t *testing.T) {
	err := startError(assert.AnError, "Can't start JetStream")
	assert.ErrorIs(t, err, assert.AnError)
	assert.ErrorContains(t, err, "Can't start JetStream")
}
