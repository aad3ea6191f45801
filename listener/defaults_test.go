package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

// withDefaults returns a client of a fake broker whose listeners have the options, and its log.
func withDefaults(t *testing.T, conn *fakeconn.Conn, opts ...listener.Option) (*client.Client, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport(conn.Dialer()),
		client.Logger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))), listener.Defaults(opts...))
	require.NoError(t, err)
	return c, log
}

func handleNothing[T events.Event](context.Context, T, listener.Delivery) error { return nil }

// TestOptionsWithoutEffectAreNoError: in a configuration in which they do nothing.
func TestOptionsWithoutEffectAreNoError(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		for _, opts := range [][]listener.Option{
			{listener.OrderingKey(func(e expiration) string { return e.OrderID })},
			{listener.OrderingKey(func(e expiration) string { return e.OrderID }), listener.Concurrency(1)},
			{listener.MaxAttempts(1), listener.Backoff(time.Second, time.Second)},
			{listener.NoDeadLetters(), listener.MaxAttempts(3)},
			{listener.VersionGapTimeout(time.Second)},
			{listener.GiveBackAtEnd()},
			{listener.WithoutDefaults()},
		} {
			stop := s.listen(handleNothing, opts...)
			stop()
		}
		s.close()
	})
}

// TestOrderingKeyOfOneHandler: an event that fails holds up its key, also where only one
// handler runs at a time.
func TestOrderingKeyOfOneHandler(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		s.publish("a", "b", "a", "b")
		var order []string
		failed := false
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID == "a" && !failed {
				failed = true
				order = append(order, "a fails")
				return errors.New("once")
			}
			order = append(order, e.OrderID)
			return nil
		}, listener.OrderingKey(func(e expiration) string { return e.OrderID }))
		time.Sleep(time.Minute)
		stop()
		require.Equal(s, []string{"a fails", "b", "b", "a", "a"}, order)
		s.close()
	})
}

// TestDefaultsThatATypeCannotUse are passed over, and the log says so at debug level. The same
// options given to the listener itself are refused.
func TestDefaultsThatATypeCannotUse(t *testing.T) {
	t.Parallel()
	for option, opt := range map[string]listener.Option{
		"OrderingKey":    listener.OrderingKey(func(e expiration) string { return e.OrderID }),
		"Validate":       listener.Validate(),
		"InVersionOrder": listener.InVersionOrder(listener.NewMemoryVersions()),
	} {
		c, log := withDefaults(t, &fakeconn.Conn{}, opt)
		_, err := listener.New(c, "g", handleNothing[free])
		require.NoError(t, err, option)
		require.Contains(t, log.String(), "level=DEBUG msg=\"an option of the client's listener.Defaults is passed over here\" subject=free group=g option="+option)
		_, err = listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "g", Subject: "free"}, handleNothing)
		require.NoError(t, err, option)
		_, err = listener.NewRaw(c, "free", "g", func(context.Context, []byte, listener.Delivery) error { return nil })
		require.NoError(t, err, option)
		_, err = listener.New(c, "g", handleNothing[free], opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "option "+option)
	}
}

// TestDefaultsHoldAKeyForEachType: each listener has that of its own type.
func TestDefaultsHoldAKeyForEachType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keyed := make(map[string]int)
		s := serve(t, memory.New(), listener.Defaults(
			listener.OrderingKey(func(e expiration) string { keyed["expiration"]++; return e.OrderID }),
			listener.OrderingKey(func(e events.OrderCreated) string { keyed["order"]++; return e.ID })))
		s.publish("a", "b")
		stop := s.listen(handleNothing)
		synctest.Wait()
		stop()
		require.Equal(t, map[string]int{"expiration": 2}, keyed)
		stop = s.listen(handleNothing, listener.Ephemeral(), listener.OrderingKey(func(expiration) string { keyed["own"]++; return "" }))
		synctest.Wait()
		stop()
		require.Equal(t, map[string]int{"expiration": 2, "own": 2}, keyed, "its own replaces the default")
		s.close()
	})
}

// TestRawListenersSayEachDefaultThatTheyPassOver, at debug level.
func TestRawListenersSayEachDefaultThatTheyPassOver(t *testing.T) {
	t.Parallel()
	c, log := withDefaults(t, &fakeconn.Conn{}, listener.OrderingKey(func(e expiration) string { return e.OrderID }), listener.Validate(),
		listener.InVersionOrder(listener.NewMemoryVersions()), listener.Codec(codec.JSON{}), listener.Concurrency(2))
	_, err := listener.NewRaw(c, "free", "g", func(context.Context, []byte, listener.Delivery) error { return nil })
	require.NoError(t, err)
	for _, option := range []string{"OrderingKey", "Validate", "InVersionOrder", "Codec"} {
		require.Contains(t, log.String(), "option="+option+` why="a raw listener's events have no type"`)
	}
	require.NotContains(t, log.String(), "option=Concurrency")
}

// TestOwnOptionsExcludeDefaults: of a default and an option of the listener's own that
// contradict one another, the listener's own counts.
func TestOwnOptionsExcludeDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, own := listener.NewMemoryVersions(), listener.NewMemoryVersions()
		byID := listener.OrderingKey(func(e events.TicketUpdated) string { return e.ID })
		for name, test := range map[string]struct {
			defaults []listener.Option
			own      listener.Option
			passed   string // the option that is passed over
			durable  string
			inFlight int
			room     int
		}{
			"Ephemeral":            {[]listener.Option{listener.DurableName("d")}, listener.Ephemeral(), "DurableName", "", 16, 1},
			"DurableName":          {[]listener.Option{listener.Ephemeral()}, listener.DurableName("d"), "Ephemeral", "d", 16, 1},
			"ManualAck":            {[]listener.Option{listener.InVersionOrder(store)}, listener.ManualAck(), "InVersionOrder", "g", 16, 1},
			"OrderingKey":          {[]listener.Option{listener.InVersionOrder(store)}, byID, "InVersionOrder", "g", 16, 1},
			"version order":        {[]listener.Option{listener.InVersionOrder(store)}, listener.InVersionOrder(own), "", "g", 16, 1},
			"instead of ManualAck": {[]listener.Option{listener.ManualAck()}, listener.InVersionOrder(own), "ManualAck", "g", 16, 1},
			"instead of a key":     {[]listener.Option{byID}, listener.InVersionOrder(own), "OrderingKey", "g", 16, 1},
			"MaxInFlight":          {[]listener.Option{listener.Concurrency(32)}, listener.MaxInFlight(4), "Concurrency", "g", 4, 4},
			"Concurrency":          {[]listener.Option{listener.MaxInFlight(4)}, listener.Concurrency(8), "MaxInFlight", "g", 8, 8},
		} {
			conn := &fakeconn.Conn{}
			c, log := withDefaults(t, conn, test.defaults...)
			l, err := listener.New(c, "g", handleNothing[events.TicketUpdated], test.own)
			require.NoError(t, err, name)
			ended := make(chan error)
			go func() { ended <- l.Listen(t.Context()) }()
			<-l.Ready()
			config := conn.Subscriptions()[0].Config
			require.Equal(t, test.durable, config.Durable, name)
			require.Equal(t, test.inFlight, config.MaxInFlight, name)
			require.Equal(t, test.room, config.Room(), name)
			if test.passed != "" {
				require.Contains(t, log.String(), "option="+test.passed+" why=", name)
			} else {
				require.NotContains(t, log.String(), "passed over", name)
			}
			require.NoError(t, c.Close(t.Context()))
			require.NoError(t, <-ended)
		}
	})
}

// TestContradictionsAreErrors, which name both and say what to do: among a listener's own
// options, and among the defaults.
func TestContradictionsAreErrors(t *testing.T) {
	t.Parallel()
	type o = []listener.Option
	versions := listener.InVersionOrder(listener.NewMemoryVersions())
	for text, opts := range map[string]o{
		"options Ephemeral and DurableName: they exclude one another":                           {listener.Ephemeral(), listener.DurableName("d")},
		"MaxInFlight: 4 is less than Concurrency 8, which could not be reached; raise":          {listener.MaxInFlight(4), listener.Concurrency(8)},
		"options InVersionOrder and ManualAck: a version is set when the handler has succeeded": {versions, listener.ManualAck()},
		"options InVersionOrder and OrderingKey: the key would keep a missing event behind those that wait": {
			versions, listener.OrderingKey(func(e events.TicketUpdated) string { return e.ID }),
		},
		"option HandlerTimeout: 5s is not less than AckWait 5s, which this broker can't extend": {listener.HandlerTimeout(5 * time.Second)},
	} {
		plain, _ := build(t, &fakeconn.Conn{})
		_, err := listener.New(plain, "g", handleNothing[events.TicketUpdated], opts...)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
		c, _ := withDefaults(t, &fakeconn.Conn{}, opts...)
		_, err = listener.New(c, "g", handleNothing[events.TicketUpdated])
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	_, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport((&fakeconn.Conn{}).Dialer()),
		listener.Defaults(listener.Concurrency(2), listener.WithoutDefaults()))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "options listener.Defaults and WithoutDefaults")
}

// TestNewDeadLettersIgnoresOtherTypesDefaults: a client-wide default of each kind does not keep
// dead letters from being listened to.
func TestNewDeadLettersIgnoresOtherTypesDefaults(t *testing.T) {
	t.Parallel()
	c, _ := withDefaults(t, &fakeconn.Conn{}, listener.InVersionOrder(listener.NewMemoryVersions()), listener.Validate(), listener.Concurrency(3))
	_, err := listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "payments", Subject: subjects.OrderCreated}, handleNothing)
	require.NoError(t, err)
}
