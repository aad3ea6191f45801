package stan

import (
	"errors"
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// TestForbiddenRequests: one error of the server explains one request without an answer, and
// only one that was open when it came.
func TestForbiddenRequests(t *testing.T) {
	t.Parallel()
	var r requests
	v := natsconn.Violation{Subject: "_STAN.sub.x"}
	timeout := func() error { return stan.ErrSubReqTimeout }
	r.onForbidden(v)
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
	refused := func() error {
		r.onForbidden(v)
		return stan.ErrSubReqTimeout
	}
	require.ErrorIs(t, r.do("_STAN.sub.x", refused), transport.ErrForbidden)
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.y", refused))
	answered := errors.New("stan: unknown clientID")
	require.Equal(t, answered, r.do("_STAN.sub.x", func() error {
		r.onForbidden(v)
		return answered
	}))
	err := r.do("_STAN.sub.x", func() error {
		require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
		require.ErrorIs(t, r.do("_STAN.sub.x", refused), transport.ErrForbidden)
		return stan.ErrSubReqTimeout
	})
	require.Equal(t, stan.ErrSubReqTimeout, err)
	require.Empty(t, r.open)
}
