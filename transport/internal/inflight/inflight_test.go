package inflight_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/inflight"
)

var errFailed = errors.New("failed")

func TestPublishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p inflight.Publishes[string]
		outcomes := make(map[string][]error)
		add := func(name string) transport.Ticket {
			value := name
			ticket, err := p.Add(transport.ReceiptFunc(func(err error) { outcomes[name] = append(outcomes[name], err) }), &value)
			require.NoError(t, err)
			return ticket
		}
		require.NoError(t, p.Drain(t.Context()), "nothing is under way")

		a, b, c := add("a"), add("b"), add("c")
		require.Equal(t, []transport.Ticket{a, b, c}, p.Tickets())
		require.True(t, p.Update(c, func(s *string) { *s += " changed" }))
		require.True(t, p.Settle(a, nil))
		require.False(t, p.Settle(a, errFailed), "once")
		require.False(t, p.Update(a, func(*string) { t.Error("it is settled") }))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "2 publishes not confirmed")

		p.Close(transport.ErrClosed)
		p.Close(errFailed)
		late := "late"
		_, err = p.Add(nil, &late)
		require.Equal(t, transport.ErrClosed, err)
		time.AfterFunc(time.Second, func() {
			p.Settle(b, nil)
			p.SettleAll(func(s *string) error { return errors.New(*s) })
		})
		require.NoError(t, p.Drain(t.Context()))
		synctest.Wait()
		require.Equal(t, map[string][]error{"a": {nil}, "b": {nil}, "c": {errors.New("c changed")}}, outcomes)
	})
}
