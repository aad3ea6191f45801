package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
)

// noted is a middleware that notes when it is called, when it returns and what
// becomes of the event.
func noted(notes *[]string, name string) publisher.Middleware {
	return func(next publisher.Invocation) publisher.Invocation {
		return func(ctx context.Context, event events.Event, o publisher.Publishing) error {
			*notes = append(*notes, name+" begins")
			o.OnOutcome(func(err error) {
				if err != nil {
					*notes = append(*notes, name+" failed")
					return
				}
				*notes = append(*notes, name+" is told")
			})
			defer func() { *notes = append(*notes, name+" ends") }()
			return next(ctx, event, o)
		}
	}
}

func TestMiddlewareIsAroundThePublishInItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		conn := &fakeconn.Conn{}
		c := connect(t, conn, publisher.Defaults(publisher.Use(noted(&notes, "everyone's"))))
		p, err := publisher.New[events.ExpirationComplete](c, publisher.Use(noted(&notes, "first")), publisher.Use(noted(&notes, "second")))
		require.NoError(t, err)

		result := make(chan error)
		go func() { result <- p.Publish(t.Context(), event) }()
		synctest.Wait()
		require.Equal(t, []string{"everyone's begins", "first begins", "second begins"}, notes)
		conn.Settle(1, nil)
		require.NoError(t, <-result)
		require.Equal(t, []string{"second ends", "first ends", "everyone's ends", "second is told", "first is told", "everyone's is told"}, notes[3:])

		notes = nil
		pending, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		require.Equal(t, []string{
			"everyone's begins", "first begins", "second begins", "second ends", "first ends", "everyone's ends",
		}, notes, "the event is on its way, and its outcome is not here")
		conn.Settle(2, transport.ErrOutcomeUnknown)
		require.Equal(t, []string{"second failed", "first failed", "everyone's failed"}, notes[6:])
		require.ErrorIs(t, pending.Err(), publisher.ErrOutcomeUnknown)
	})
}

// TestMiddlewareIsToldTheOutcome that the publisher's caller gets, in whatever way
// the event is published.
func TestMiddlewareIsToldTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []error
		conn := &fakeconn.Conn{}
		p := expirations(t, conn, publisher.Timeout(time.Second), publisher.Use(func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				require.IsType(t, events.ExpirationComplete{}, e)
				require.Equal(t, e.Subject(), o.Subject)
				o.OnOutcome(func(err error) { told = append(told, err) })
				return next(ctx, e, o)
			}
		}))

		err := p.Publish(t.Context(), event)
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
		require.Equal(t, []error{err}, told)

		_, err = p.PublishAsync(t.Context(), events.ExpirationComplete{})
		require.ErrorIs(t, err, publisher.ErrInvalidEvent)
		require.Equal(t, []error{err}, told[1:])

		pending, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		require.ErrorIs(t, pending.Wait(t.Context()), context.DeadlineExceeded, "the timeout")
		require.Equal(t, []error{pending.Err()}, told[2:])

		conn.OnPublish = func(_ transport.Message, r transport.Receipt) { r.Done(nil) } // before Publish of the transport returns
		stored, err := p.PublishAll(t.Context(), slices.Values([]events.ExpirationComplete{event, event, {}, event}))
		require.ErrorIs(t, err, publisher.ErrInvalidEvent)
		require.Equal(t, 2, stored)
		require.Equal(t, []error{nil, nil, err}, told[3:])
	})
}

// TestOutcomeIsToldBeforeWhoWaitsGoesOn, and at once where it is here already.
func TestOutcomeIsToldBeforeWhoWaitsGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		var before, after bool
		p := expirations(t, conn, publisher.Use(func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				o.OnOutcome(func(error) { before = true })
				err := next(ctx, e, o)
				conn.Settle(1, nil)
				o.OnOutcome(func(error) { after = true })
				return err
			}
		}))
		pending, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		require.NoError(t, pending.Wait(t.Context()))
		require.True(t, before)
		require.True(t, after)
	})
}

func TestMiddlewareRefusesButCantMakeUpAnOutcome(t *testing.T) {
	t.Parallel()
	quota := errors.New("no more today")
	type seen struct {
		published int
		err       error
	}
	for _, test := range []struct {
		name  string
		wrap  publisher.Middleware
		stop  error
		after seen
		text  string
	}{
		{name: "refused", wrap: func(publisher.Invocation) publisher.Invocation {
			return func(context.Context, events.Event, publisher.Publishing) error { return quota }
		}, after: seen{0, quota}, text: "publish expiration:complete: not stored: no more today"},
		{name: "refused because of another publish", wrap: func(publisher.Invocation) publisher.Invocation {
			return func(context.Context, events.Event, publisher.Publishing) error { return publisher.ErrOutcomeUnknown }
		}, after: seen{0, publisher.ErrNotStored}, text: "publish expiration:complete: not stored: outcome unknown"},
		{name: "not passed on", wrap: func(publisher.Invocation) publisher.Invocation {
			return func(context.Context, events.Event, publisher.Publishing) error { return nil }
		}, after: seen{0, client.ErrInvalid}, text: "it neither passed the event on nor returned an error"},
		{name: "panics", wrap: func(publisher.Invocation) publisher.Invocation {
			return func(context.Context, events.Event, publisher.Publishing) error { panic("boom") }
		}, after: seen{0, publisher.ErrNotStored}, text: "not stored: middleware panicked: boom"},
		{name: "another type", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, _ events.Event, o publisher.Publishing) error {
				return next(ctx, events.TicketCreated{}, o)
			}
		}, after: seen{0, client.ErrInvalid}, text: "it passed events.TicketCreated on, and the publisher's events are events.ExpirationComplete"},
		{name: "another Publishing", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, _ publisher.Publishing) error {
				return next(ctx, e, publisher.Publishing{})
			}
		}, after: seen{0, client.ErrInvalid}, text: "it passed another Publishing on"},
		{name: "an error after it was stored", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				_ = next(ctx, e, o)
				return quota
			}
		}, after: seen{1, nil}},
		{name: "panics after it was stored", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				o.OnOutcome(func(error) { panic("told") })
				_ = next(ctx, e, o)
				panic("boom")
			}
		}, after: seen{1, nil}},
		{name: "twice", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				if err := next(ctx, e, o); err != nil {
					return err
				}
				require.ErrorContains(t, next(ctx, e, o), "a second time")
				return nil
			}
		}, after: seen{1, nil}},
		{name: "not stored, and covered up", wrap: func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				_ = next(ctx, e, o)
				return nil
			}
		}, stop: transport.ErrNotStored, after: seen{1, publisher.ErrNotStored}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(test.stop) }}
				p := expirations(t, conn, publisher.Use(test.wrap))
				for _, publish := range []func() error{
					func() error { return p.Publish(t.Context(), event) },
					func() error {
						pending, err := p.PublishAsync(t.Context(), event)
						if err != nil {
							return err
						}
						return pending.Wait(t.Context())
					},
				} {
					before := len(conn.Published())
					err := publish()
					require.Equal(t, test.after.published, len(conn.Published())-before)
					require.ErrorIs(t, err, test.after.err)
					if err != nil {
						require.ErrorContains(t, err, test.text)
						require.ErrorIs(t, err, publisher.ErrNotStored)
						require.NotErrorIs(t, err, publisher.ErrOutcomeUnknown)
					}
				}
			})
		})
	}
}

func TestMiddlewareSetsHeadersWhereTheBrokerHasThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		name, value := "traceparent", "00-1"
		set := publisher.Use(func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				o.SetHeader(name, "before")
				o.SetHeader(name, value)
				return next(ctx, e, o)
			}
		})
		stored := func(_ transport.Message, r transport.Receipt) { r.Done(nil) }
		with := &fakeconn.Conn{OnPublish: stored, Declared: transport.Features{Headers: true}}
		p := expirations(t, with, set)
		require.NoError(t, p.Publish(t.Context(), event))
		require.Equal(t, []string{"00-1"}, with.Published()[0].Header["traceparent"])
		require.Equal(t, []string{"expiration:complete"}, with.Published()[0].Header["ce-type"], "the library's own are there, too")

		for _, bad := range []struct{ name, value, text string }{
			{"", "x", `header "": a name is printable ASCII`},
			{"a b", "x", `header "a b"`},
			{"a:b", "x", `header "a:b"`},
			{"é", "x", `header "é"`},
			{"a", "x\r\nb: y", "header a: its value \"x\\r\\nb: y\" holds a line break"},
			{"CE-id", "x", "header CE-id: the library sets it"},
			{"nats-msg-id", "x", "header nats-msg-id: those that begin with Nats- are the server's"},
		} {
			name, value = bad.name, bad.value
			err := p.Publish(t.Context(), event)
			require.ErrorIs(t, err, publisher.ErrNotStored)
			require.ErrorContains(t, err, bad.text)
		}
		require.Len(t, with.Published(), 1)

		name, value = "traceparent", "00-1"
		without := &fakeconn.Conn{OnPublish: stored}
		require.NoError(t, expirations(t, without, set).Publish(t.Context(), event))
		require.Nil(t, without.Published()[0].Header)
	})
}

func TestMiddlewareThatCantBeIsRefused(t *testing.T) {
	t.Parallel()
	c := connect(t, &fakeconn.Conn{})
	for text, opt := range map[string]publisher.Option{
		"option Use: it holds no middleware":                            publisher.Use(),
		"option Use: its middleware 1 of 1 is nil":                      publisher.Use(nil),
		"option Use: middleware 1 of 1 returns nil instead of an Invoc": publisher.Use(func(publisher.Invocation) publisher.Invocation { return nil }),
	} {
		_, err := publisher.New[events.ExpirationComplete](c, opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	for text, opt := range map[string]client.Option{
		"option publisher.Defaults: it holds no option":           publisher.Defaults(),
		"option publisher.Defaults: invalid option: nil":          publisher.Defaults(nil),
		"option publisher.Defaults: invalid option Timeout: -1ns": publisher.Defaults(publisher.Timeout(-1)),
	} {
		_, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport((&fakeconn.Conn{}).Dialer()), opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
}

func TestPanicsOfMiddlewareAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
	p := expirations(t, conn)
	require.NoError(t, p.Publish(t.Context(), event))
	p, err := publisher.New[events.ExpirationComplete](connect(t, conn, client.Logger(slog.New(slog.NewTextHandler(&log, nil)))),
		publisher.Use(func(next publisher.Invocation) publisher.Invocation {
			return func(ctx context.Context, e events.Event, o publisher.Publishing) error {
				o.OnOutcome(func(error) { panic("told") })
				o.OnOutcome(nil)
				return next(ctx, e, o)
			}
		}))
	require.NoError(t, err)
	require.NoError(t, p.Publish(t.Context(), event))
	require.Contains(t, log.String(), "publisher's middleware panicked")
	require.Contains(t, log.String(), "panic=told")
}

// TestPanicsOfMiddlewareNameTheEntity of the event, where it has one.
func TestPanicsOfMiddlewareNameTheEntity(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
	c := connect(t, conn, client.Logger(slog.New(slog.NewTextHandler(&log, nil))),
		publisher.Defaults(publisher.Use(func(publisher.Invocation) publisher.Invocation {
			return func(context.Context, events.Event, publisher.Publishing) error { panic("no") }
		})))
	tickets, err := publisher.New[events.TicketCreated](c)
	require.NoError(t, err)
	require.ErrorIs(t, tickets.Publish(t.Context(), events.TicketCreated{ID: "ticket-7"}), publisher.ErrNotStored)
	require.Contains(t, log.String(), "subject=ticket:created entity=ticket-7 panic=no")
	_, err = tickets.PublishAsync(t.Context(), events.TicketCreated{ID: "ticket-8"})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.Contains(t, log.String(), "subject=ticket:created entity=ticket-8 panic=no")
	expirations, err := publisher.New[events.ExpirationComplete](c)
	require.NoError(t, err)
	require.ErrorIs(t, expirations.Publish(t.Context(), event), publisher.ErrNotStored)
	require.Contains(t, log.String(), "subject=expiration:complete panic=no")
}

// TestZeroPublishing can be used in the unit test of a middleware.
func TestZeroPublishing(t *testing.T) {
	t.Parallel()
	var o publisher.Publishing
	o.SetHeader("traceparent", "00-1")
	o.OnOutcome(func(error) { t.Error("told") })
}
