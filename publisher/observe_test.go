package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// recorder keeps what it is told.
type recorder struct {
	mu  sync.Mutex
	all []observe.Observation
}

func (r *recorder) Observe(o observe.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, o)
}

// publishes takes what was told of publishes so far.
func (r *recorder) publishes() []observe.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return slices.DeleteFunc(all, func(o observe.Observation) bool { return o.Kind != observe.Sent && o.Kind != observe.Decided })
}

// publishWays are the ways to publish one event; each returns the outcome.
var publishWays = map[string]func(ctx context.Context, p *publisher.Publisher[events.ExpirationComplete], e events.ExpirationComplete) error{
	"Publish": func(ctx context.Context, p *publisher.Publisher[events.ExpirationComplete], e events.ExpirationComplete) error {
		return p.Publish(ctx, e)
	},
	"PublishAsync": func(ctx context.Context, p *publisher.Publisher[events.ExpirationComplete], e events.ExpirationComplete) error {
		pending, err := p.PublishAsync(ctx, e)
		if err != nil {
			return err
		}
		return pending.Wait(ctx)
	},
	"PublishAll": func(ctx context.Context, p *publisher.Publisher[events.ExpirationComplete], e events.ExpirationComplete) error {
		_, err := p.PublishAll(ctx, slices.Values([]events.ExpirationComplete{e}))
		return err
	},
}

// errNone stands for no answer of the broker.
var errNone = errors.New("none")

func refuse(with error) publisher.Middleware {
	return func(publisher.Invocation) publisher.Invocation {
		return func(context.Context, events.Event, publisher.Publishing) error { return with }
	}
}

func twice(next publisher.Invocation) publisher.Invocation {
	return func(ctx context.Context, e events.Event, p publisher.Publishing) error {
		_ = next(ctx, e, p)
		return next(ctx, e, p)
	}
}

func panics(publisher.Invocation) publisher.Invocation {
	return func(context.Context, events.Event, publisher.Publishing) error { panic("boom") }
}

func passOn(next publisher.Invocation) publisher.Invocation { return next }

// TestObserve: each publish is told when it is sent and when it is decided, once, with the
// error that the caller gets; one that is refused before is told when it is decided only.
func TestObserve(t *testing.T) {
	t.Parallel()
	quota := errors.New("no more today")
	type o = []publisher.Option
	for name, test := range map[string]struct {
		opts     o
		event    events.ExpirationComplete
		answer   error // the broker's; errNone: there is no answer
		canceled bool
		kinds    []observe.Kind
		matches  error
	}{
		"stored":                 {nil, event, nil, false, []observe.Kind{observe.Sent, observe.Decided}, nil},
		"refused by the server":  {nil, event, transport.ErrNotStored, false, []observe.Kind{observe.Sent, observe.Decided}, publisher.ErrNotStored},
		"no answer":              {o{publisher.Timeout(time.Second)}, event, errNone, false, []observe.Kind{observe.Sent, observe.Decided}, publisher.ErrOutcomeUnknown},
		"not valid":              {nil, events.ExpirationComplete{}, nil, false, []observe.Kind{observe.Decided}, publisher.ErrInvalidEvent},
		"its context has ended":  {nil, event, nil, true, []observe.Kind{observe.Decided}, context.Canceled},
		"an ID that can't be":    {o{orderID}, events.ExpirationComplete{OrderID: "a\nb"}, nil, false, []observe.Kind{observe.Decided}, client.ErrInvalid},
		"through middleware":     {o{publisher.Use(passOn)}, event, nil, false, []observe.Kind{observe.Sent, observe.Decided}, nil},
		"not valid, middleware":  {o{publisher.Use(passOn)}, events.ExpirationComplete{}, nil, false, []observe.Kind{observe.Decided}, publisher.ErrInvalidEvent},
		"refused by middleware":  {o{publisher.Use(refuse(quota))}, event, nil, false, []observe.Kind{observe.Decided}, quota},
		"not passed on":          {o{publisher.Use(refuse(nil))}, event, nil, false, []observe.Kind{observe.Decided}, client.ErrInvalid},
		"passed on twice":        {o{publisher.Use(twice)}, event, nil, false, []observe.Kind{observe.Sent, observe.Decided}, nil},
		"middleware that panics": {o{publisher.Use(panics)}, event, nil, false, []observe.Kind{observe.Decided}, publisher.ErrNotStored},
	} {
		for way, publish := range publishWays {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					conn := &fakeconn.Conn{}
					if !errors.Is(test.answer, errNone) {
						conn.OnPublish = func(_ transport.Message, r transport.Receipt) { r.Done(test.answer) }
					}
					var everyone, own recorder
					p, err := publisher.New[events.ExpirationComplete](connect(t, conn, client.Observe(&everyone)),
						append(o{publisher.Observe(&own)}, test.opts...)...)
					require.NoError(t, err)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if test.canceled {
						cancel()
					}
					err = publish(ctx, p, test.event)
					require.ErrorIs(t, err, test.matches)
					for _, r := range []*recorder{&everyone, &own} {
						all := r.publishes()
						kinds := make([]observe.Kind, len(all))
						for i, o := range all {
							kinds[i] = o.Kind
							require.Equal(t, subjects.ExpirationComplete, o.Subject)
							if o.Kind == observe.Sent {
								require.NoError(t, o.Err)
							}
						}
						require.Equal(t, test.kinds, kinds)
						require.Equal(t, err, all[len(all)-1].Err)
					}
				})
			})
		}
	}
}

// TestObserveWhatIsSent: ID, bytes and headers, as they are sent.
func TestObserveWhatIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		b := memory.New(memory.JetStream())
		c, err := client.Build(t.Context(), "ticketing", "test", "", client.Transport(b.Dialer()), client.Observe(&told),
			client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		p, err := publisher.New[events.ExpirationComplete](c)
		require.NoError(t, err)
		require.NoError(t, p.Publish(t.Context(), event))
		all := told.publishes()
		require.Len(t, all, 2)
		stored := b.Stored("expiration:complete")[0]
		for _, o := range all {
			require.Equal(t, len(stored.Data), o.Bytes)
			require.Equal(t, o.MessageID, stored.Header["ce-id"][0])
			require.Equal(t, stored.Header["ce-type"], o.Header["ce-type"])
		}

		r, err := publisher.NewRaw(c)
		require.NoError(t, err)
		require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: "s", ID: "1", Data: []byte("abc"), Header: map[string][]string{"a": {"b"}}}))
		require.Error(t, r.Publish(t.Context(), publisher.Message{Subject: "a b", ID: "2", Data: []byte("abcd")}))
		require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: "s"}))
		all = told.publishes()
		require.Len(t, all, 5)
		given := observe.Observation{Kind: observe.Sent, Subject: "s", MessageID: "1", Bytes: 3, Header: map[string][]string{"a": {"b"}}}
		require.Equal(t, given, all[0])
		given.Kind = observe.Decided
		require.Equal(t, given, all[1])
		require.ErrorIs(t, all[2].Err, publisher.ErrNotStored)
		require.Equal(t, []any{observe.Decided, "2", 4}, []any{all[2].Kind, all[2].MessageID, all[2].Bytes})
		require.NotEmpty(t, all[3].MessageID, "a random one")
		require.Equal(t, all[3].MessageID, all[4].MessageID)
		require.NoError(t, c.Close(t.Context()))
	})
}

// TestObserversKeepTheirHeader: the connection adds to the headers of the message, which an
// observer may look at meanwhile.
func TestObserversKeepTheirHeader(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{
		Declared: transport.Features{Headers: true},
		OnPublish: func(m transport.Message, r transport.Receipt) {
			m.Header["Nats-Expected-Stream"] = []string{"ticketing"}
			r.Done(nil)
		},
	}
	var told recorder
	require.NoError(t, expirations(t, conn, publisher.Observe(&told)).Publish(t.Context(), event))
	for _, o := range told.publishes() {
		require.NotContains(t, o.Header, "Nats-Expected-Stream")
		require.Contains(t, o.Header, "ce-id")
	}
}

// TestObserveDecidedOnce: an asynchronous publish is told when its deadline decides it, and
// what the broker says later is not.
func TestObserveDecidedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		conn := &fakeconn.Conn{}
		p := expirations(t, conn, publisher.Observe(&told), publisher.Timeout(time.Second))
		pending, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		all := told.publishes()
		require.Len(t, all, 1)
		require.Equal(t, observe.Sent, all[0].Kind)
		<-pending.Done()
		all = told.publishes()
		require.Len(t, all, 1)
		require.Equal(t, observe.Decided, all[0].Kind)
		require.Equal(t, pending.Err(), all[0].Err)
		conn.Settle(1, nil)
		require.Empty(t, told.publishes())
	})
}

// TestObserverThatPanics does not break the publish; the others are told all the same.
func TestObserverThatPanics(t *testing.T) {
	t.Parallel()
	for way, publish := range publishWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var told recorder
			conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
			p, err := publisher.New[events.ExpirationComplete](connect(t, conn, client.Logger(slog.New(slog.NewTextHandler(&log, nil)))),
				publisher.Observe(observe.Func(func(observe.Observation) { panic("boom") })), publisher.Observe(&told))
			require.NoError(t, err)
			require.NoError(t, publish(t.Context(), p, event))
			require.Len(t, told.publishes(), 2)
			require.Equal(t, 2, strings.Count(log.String(), "observer panicked"))
			require.Contains(t, log.String(), "panic=boom")
			require.Contains(t, log.String(), "kind=decided")
		})
	}
	_, err := publisher.New[events.ExpirationComplete](connect(t, &fakeconn.Conn{}), publisher.Observe(nil))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option Observe: nil")
}

// TestDeadLettersAndRedriveAreObserved as the publishes that they are.
func TestDeadLettersAndRedriveAreObserved(t *testing.T) {
	t.Parallel()
	for name, broker := range map[string]func() memory.Option{"NATS Streaming": memory.NATSStreaming, "JetStream": memory.JetStream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told recorder
				b := memory.New(broker())
				c, err := client.Build(t.Context(), "ticketing", "test", "", client.Transport(b.Dialer()),
					client.Logger(slog.New(slog.DiscardHandler)), client.Observe(&told))
				require.NoError(t, err)
				r, err := publisher.NewRaw(c)
				require.NoError(t, err)
				require.NoError(t, r.Publish(t.Context(), publisher.Message{Subject: subjects.ExpirationComplete, Data: []byte("not JSON")}))
				require.Len(t, told.publishes(), 2)

				letters := events.DeadLetterSubject("orders", subjects.ExpirationComplete)
				l, err := listener.New(c, "orders", func(context.Context, events.ExpirationComplete, listener.Delivery) error { return nil },
					listener.StartAt(listener.All))
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- l.Listen(ctx) }()
				time.Sleep(time.Minute)
				require.Len(t, b.Stored(string(letters)), 1)
				stop()
				require.NoError(t, <-ended)
				check := func(subject subjects.Subject) {
					t.Helper()
					all := told.publishes()
					require.Len(t, all, 2)
					require.Equal(t, []observe.Kind{observe.Sent, observe.Decided}, []observe.Kind{all[0].Kind, all[1].Kind})
					for _, o := range all {
						require.Equal(t, subject, o.Subject)
						if name == "JetStream" {
							require.NotEmpty(t, o.MessageID)
						}
						require.Positive(t, o.Bytes)
						require.NoError(t, o.Err)
					}
				}
				check(letters)

				result, err := deadletter.Redrive(t.Context(), c, "orders", subjects.ExpirationComplete)
				require.NoError(t, err)
				require.Equal(t, 1, result.Redriven)
				check(subjects.ExpirationComplete)
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}
