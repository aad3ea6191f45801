package publishing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// choosy is a connection whose broker stores the subjects alone that were added.
type choosy struct {
	*fakeconn.Conn

	takes map[string]bool
	asked []string
	add   func(ctx context.Context) error
}

func (c *choosy) Takes(subject string) bool { return c.takes[subject] }

func (c *choosy) AddSubject(ctx context.Context, subject string) error {
	c.asked = append(c.asked, subject)
	err := c.add(ctx)
	c.takes[subject] = err == nil
	return err
}

// TestSubjectIsAddedBeforeAPublish, once; and a publish whose subject can't be added is not
// sent. Where that can't be found out, the publish will show.
func TestSubjectIsAddedBeforeAPublish(t *testing.T) {
	t.Parallel()
	conn := &choosy{Conn: &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}, takes: make(map[string]bool)}
	conn.Dialer()
	s := publishing.NewSender(publishing.Config{Conn: conn, Window: publishing.NewWindow(4), Log: slog.New(slog.DiscardHandler), Timeout: time.Minute})
	conn.add = func(context.Context) error {
		require.Empty(t, conn.Published(), "it is added first")
		return nil
	}
	for range 2 {
		require.NoError(t, s.Publish(t.Context(), transport.Message{Subject: "a"}))
		var p publishing.Pending
		require.NoError(t, s.PublishAsync(t.Context(), transport.Message{Subject: "a"}, &p))
	}
	require.Equal(t, []string{"a"}, conn.asked)
	require.Len(t, conn.Published(), 4)

	conn.add = func(context.Context) error { return fmt.Errorf("%w: stream s lacks b", transport.ErrInvalid) }
	err := s.Publish(t.Context(), transport.Message{Subject: "b"})
	require.ErrorIs(t, err, transport.ErrNotStored)
	require.ErrorIs(t, err, transport.ErrInvalid)
	var p publishing.Pending
	require.ErrorIs(t, s.PublishAsync(t.Context(), transport.Message{Subject: "b"}, &p), transport.ErrInvalid)
	require.Len(t, conn.Published(), 4)
	require.Zero(t, s.Window.InFlight())

	conn.add = func(context.Context) error { return errors.New("the server does not answer") }
	require.NoError(t, s.Publish(t.Context(), transport.Message{Subject: "c"}))
	require.Len(t, conn.Published(), 5)
}

// TestAddingASubjectTakesNoLonger than the context, and without its deadline than the Timeout.
func TestAddingASubjectTakesNoLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &choosy{Conn: &fakeconn.Conn{}, takes: make(map[string]bool)}
		conn.Dialer()
		conn.add = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s := publishing.NewSender(publishing.Config{Conn: conn, Window: publishing.NewWindow(4), Log: slog.New(slog.DiscardHandler), Timeout: time.Minute})
		began := time.Now()
		err := s.Publish(t.Context(), transport.Message{Subject: "a"})
		require.Equal(t, time.Minute, time.Since(began))
		require.ErrorIs(t, err, transport.ErrNotStored)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `subject "a"`)
		require.ErrorContains(t, err, "option Timeout")

		why := errors.New("the pass is over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		var p publishing.Pending
		err = s.PublishAsync(ctx, transport.Message{Subject: "a"}, &p)
		require.Equal(t, time.Minute+time.Second, time.Since(began))
		require.ErrorIs(t, err, transport.ErrNotStored)
		require.ErrorIs(t, err, why)
		require.Empty(t, conn.Published())
	})
}
