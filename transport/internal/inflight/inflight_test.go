package inflight_test

import (
	"context"
	"errors"
	"fmt"
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
		itself := func(s *string) string { return *s }
		outcomes := make(map[string][]error)
		add := func(name string) transport.Ticket {
			value := name
			ticket, err := p.Add(transport.ReceiptFunc(func(err error) { outcomes[name] = append(outcomes[name], err) }), &value)
			require.NoError(t, err)
			return ticket
		}
		require.NoError(t, p.Drain(t.Context(), itself), "nothing is under way")

		a, b, c := add("a"), add("b"), add("c")
		require.Equal(t, []transport.Ticket{a, b, c}, p.Tickets())
		require.True(t, p.Update(c, func(s *string) { *s += " changed" }))
		require.True(t, p.Settle(a, nil))
		require.False(t, p.Settle(a, errFailed), "once")
		require.False(t, p.Update(a, func(*string) { t.Error("it is settled") }))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Drain(ctx, itself)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "2 publishes not confirmed (1 of b, 1 of c changed)")

		p.Close(transport.ErrClosed)
		p.Close(errFailed)
		late := "late"
		_, err = p.Add(nil, &late)
		require.Equal(t, transport.ErrClosed, err)
		time.AfterFunc(time.Second, func() {
			p.Settle(b, nil)
			p.SettleAll(func(s *string) error { return errors.New(*s) })
		})
		require.NoError(t, p.Drain(t.Context(), itself))
		synctest.Wait()
		require.Equal(t, map[string][]error{"a": {nil}, "b": {nil}, "c": {errors.New("c changed")}}, outcomes)
	})
}

// TestLeft: what is not confirmed is told by subject, as far as that can be read.
func TestLeft(t *testing.T) {
	t.Parallel()
	var l inflight.Left
	for range 3 {
		l.Add("ticket:created")
	}
	l.Add("order:created")
	require.Equal(t, "4 publishes not confirmed (1 of order:created, 3 of ticket:created)", l.String())
	for n := range 25 {
		l.Add(fmt.Sprintf("z%02d", n))
	}
	require.Regexp(t, `^29 publishes not confirmed \(1 of order:created, .*, 1 of z17 and of 7 more subjects\)$`, l.String())
}
