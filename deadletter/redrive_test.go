package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

const (
	seats       subjects.Subject = "seat:reserved"
	deadLetters string           = "dead.payments.seat:reserved"
)

// fixture is a broker with events and their dead letters.
type fixture struct {
	*testing.T
	broker  *memory.Broker
	client  *client.Client
	headers bool
}

// onBoth runs a test with the broker as either of the two.
func onBoth(t *testing.T, run func(b *fixture)) {
	t.Helper()
	for name, as := range map[string]memory.Option{"NATS Streaming": memory.NATSStreaming(), "JetStream": memory.JetStream()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &fixture{T: t, broker: memory.New(as)}
				b.client = b.connect("test")
				b.headers = access.Session(b.client).Conn.Features().Headers
				run(b)
			})
		})
	}
}

func (b *fixture) connect(id string, opts ...client.Option) *client.Client {
	b.Helper()
	opts = append([]client.Option{client.Transport(b.broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler))}, opts...)
	c, err := client.Build(b.Context(), "ticketing", id, "", opts...)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close(context.Background())) })
	return c
}

func (b *fixture) store(subject string, data []byte, header transport.Header) {
	b.Helper()
	raw, err := publisher.NewRaw(b.client)
	require.NoError(b, err)
	require.NoError(b, raw.Publish(b.Context(), publisher.Message{Subject: subjects.Subject(subject), Data: data, Header: header}))
}

// storeDeadLetter stores an event and, as a listener does, its dead letter.
func (b *fixture) storeDeadLetter(text string, change ...func(*events.DeadLetter)) events.DeadLetter {
	b.Helper()
	stored := time.Now()
	name := strings.ToValidUTF8(text, "?")
	b.store(string(seats), []byte(text), transport.Header{"ce-id": {name}})
	d := events.DeadLetter{
		Original: seats, Group: "payments", Sequence: uint64(len(b.broker.Stored(string(seats)))), Timestamp: stored,
		Attempts: 3, Error: "broken", FailedAt: time.Now(), Reason: events.DeadLetterExhausted, Data: []byte(text),
	}
	if b.headers {
		d.Header = map[string][]string{"ce-id": {name}, "Nats-Msg-Id": {name}, "Nats-Expected-Last-Sequence": {"1"}}
	}
	for _, c := range change {
		c(&d)
	}
	d = events.NewDeadLetter(d)
	b.write(d)
	return d
}

func (b *fixture) storeDeadLetters(n int) {
	b.Helper()
	for i := range n {
		b.storeDeadLetter(strconv.Itoa(i))
		time.Sleep(time.Millisecond)
	}
}

func (b *fixture) write(d events.DeadLetter) {
	b.Helper()
	data, err := codec.JSON{}.Encode(&d)
	require.NoError(b, err)
	b.store(deadLetters, data, nil)
}

func (b *fixture) redrive(opts ...deadletter.Option) (deadletter.Result, error) {
	b.Helper()
	return deadletter.Redrive(b.Context(), b.client, "payments", seats, opts...)
}

// expect fails unless a Redrive has that result, and no error.
func (b *fixture) expect(want deadletter.Result, opts ...deadletter.Option) {
	b.Helper()
	got, err := b.redrive(opts...)
	require.NoError(b, err)
	require.Equal(b, want, got)
}

// putBack returns the events that were put back: those that are stored after the first n.
func (b *fixture) putBack(n int) []string {
	b.Helper()
	var texts []string
	for _, m := range b.broker.Stored(string(seats))[n:] {
		texts = append(texts, string(m.Data))
	}
	return texts
}

// except wants all events but those.
func except(texts ...string) deadletter.Option {
	return deadletter.Where(func(d events.DeadLetter) bool {
		return !slices.Contains(texts, string(d.Data))
	})
}

func TestPutsBackByteForByte(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetter("\xff{\"id\"")
		b.storeDeadLetter("")
		begun := time.Now()
		b.expect(deadletter.Result{Redriven: 2})
		require.Equal(b, 5*time.Second, time.Since(begun))
		require.Equal(b, []string{"\xff{\"id\"", ""}, b.putBack(2))
		for i, m := range b.broker.Stored(string(seats))[2:] {
			if !b.headers {
				require.Empty(b, m.Header)
				continue
			}
			require.Equal(b, transport.Header{
				"ce-id": {[]string{"?{\"id\"", ""}[i]}, deadletter.RedrivenFor: {"payments"},
			}, m.Header, "requests of the first publish to the broker are not repeated")
		}
		b.expect(deadletter.Result{})
		require.Len(b, b.putBack(2), 2)
	})
}

func TestNothingThere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		begun := time.Now()
		b.expect(deadletter.Result{})
		require.Equal(b, 2*time.Second, time.Since(begun))
	})
}

// TestKeptIsThereForTheNext: dead letters that the filter leaves do not keep others from
// coming, are not lost, and come again to the next Redrive.
func TestKeptIsThereForTheNext(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		const n = 1000
		b.storeDeadLetters(n)
		asked := 0
		begun := time.Now()
		b.expect(deadletter.Result{Redriven: 10, Kept: n - 10}, deadletter.Where(func(d events.DeadLetter) bool {
			asked++
			return d.Sequence > n-10
		}))
		require.Equal(b, n, asked, "each is looked at once")
		require.Less(b, time.Since(begun), 6*time.Second)
		b.storeDeadLetter("later")
		b.expect(deadletter.Result{Redriven: 491, Kept: 500}, deadletter.Where(func(d events.DeadLetter) bool { return d.Sequence > 500 }))
		b.expect(deadletter.Result{Redriven: 500})
		b.expect(deadletter.Result{})
		require.Len(b, b.putBack(n), n+2, "each once, and the later one itself")
	})
}

// TestKeptComesAtOnce: the next Redrive gets kept dead letters at once.
func TestKeptComesAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		const n = 1000
		b.storeDeadLetters(n)
		for range 2 {
			begun := time.Now()
			b.expect(deadletter.Result{Kept: n}, deadletter.Where(func(events.DeadLetter) bool { return false }))
			require.Less(b, time.Since(begun), 5500*time.Millisecond)
		}
	})
}

// TestKeptIsNoFault: dead letters that the filter leaves alone cause no warnings, and do not
// degrade the client, however long the Redrive lasts.
func TestKeptIsNoFault(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		var log bytes.Buffer
		b.client = b.connect("logged", client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		b.storeDeadLetters(100)
		b.broker.DelayNext(time.Minute)
		b.expect(deadletter.Result{Redriven: 1, Kept: 99}, deadletter.Where(func(d events.DeadLetter) bool { return d.Sequence == 100 }))
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "level=WARN") {
				require.Contains(b, line, "sequence=100", "the one that was open for longer than an ack wait")
			}
		}
		require.NotContains(b, log.String(), "degraded")
	})
}

func TestOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(100)
		b.expect(deadletter.Result{Redriven: 100})
		for i, text := range b.putBack(100) {
			require.Equal(b, strconv.Itoa(i), text)
		}
	})
}

// TestStoredTwice: an event with two dead letters is put back once.
func TestStoredTwice(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		first, other := b.storeDeadLetter("a"), b.storeDeadLetter("b")
		first.Attempts++ // by another member, a little later
		b.write(first)
		b.write(other)
		b.expect(deadletter.Result{Redriven: 1, Duplicates: 1, Kept: 2}, except("b"))
		b.expect(deadletter.Result{Redriven: 1, Duplicates: 1})
		b.expect(deadletter.Result{})
		require.Equal(b, []string{"a", "b"}, b.putBack(2))
	})
}

// TestTruncated: an event that its dead letter does not hold is read from its own channel.
func TestTruncated(t *testing.T) {
	t.Parallel()
	truncate := func(d *events.DeadLetter) { d.Data, d.Truncated = nil, true }
	onBoth(t, func(b *fixture) {
		b.storeDeadLetter("large", truncate)
		b.storeDeadLetter("another's", truncate, func(d *events.DeadLetter) { d.Timestamp = d.Timestamp.Add(-time.Hour) })
		b.storeDeadLetter("gone", truncate, func(d *events.DeadLetter) { d.Sequence = 99 })
		got, err := b.redrive()
		require.Equal(b, deadletter.Result{Redriven: 1, Failed: 2}, got)
		require.ErrorContains(b, err, "redrive seat:reserved for payments: 2 of 3 could not be put back, the first since: "+
			"its dead letter holds no data, and the event is not in its channel any more: seat:reserved at sequence 2")
		require.Equal(b, []string{"large"}, b.putBack(3))
		if b.headers {
			require.Equal(b, []string{"large"}, b.broker.Stored(string(seats))[3].Header["ce-id"])
		}
		b.expect(deadletter.Result{Kept: 2}, deadletter.Where(func(events.DeadLetter) bool { return false }))
	})
}

// TestEndsHalfWay: a Redrive whose connection is lost, or whose context ends, half-way
// loses nothing, and the next one finishes.
func TestEndsHalfWay(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(b *fixture, stop context.CancelFunc){
		"connection": func(b *fixture, _ context.CancelFunc) { go b.broker.EndConnections() },
		"context":    func(_ *fixture, stop context.CancelFunc) { stop() },
		"client":     func(b *fixture, _ context.CancelFunc) { go func() { _ = b.client.Close(context.Background()) }() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(b *fixture) {
				const n = 300
				b.storeDeadLetters(n)
				ctx, stop := context.WithCancel(b.Context())
				defer stop()
				seen := 0
				first, err := deadletter.Redrive(ctx, b.client, "payments", seats, deadletter.Where(func(events.DeadLetter) bool {
					seen++
					if seen == n/2 {
						cut(b, stop)
					}
					time.Sleep(time.Millisecond)
					return true
				}))
				require.Error(b, err)
				require.Less(b, first.Redriven, n)
				require.Zero(b, first.Failed)

				b.client = b.connect("another")
				second, err := b.redrive()
				require.NoError(b, err)
				require.Zero(b, second.Failed)
				times := make(map[string]int)
				for _, text := range b.putBack(n) {
					times[text]++
				}
				require.Len(b, times, n, "nothing is lost")
				doubled := len(b.putBack(n)) - n
				require.LessOrEqual(b, doubled, 2, "only events that were being published may be stored twice")
				if b.headers {
					require.Zero(b, doubled, "the broker recognises message IDs")
				}
				b.expect(deadletter.Result{})
			})
		})
	}
}

// TestLinkLost: while the connection comes back by itself, one Redrive goes on.
func TestLinkLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		const n = 300
		b.storeDeadLetters(n)
		seen := 0
		b.expect(deadletter.Result{Redriven: n}, deadletter.Where(func(events.DeadLetter) bool {
			seen++
			if seen%100 == 50 {
				go b.broker.DropConnections()
			}
			time.Sleep(time.Millisecond)
			return true
		}))
		require.Len(b, b.putBack(n), n)
		b.expect(deadletter.Result{})
	})
}

// TestEndsBeforeTheOutcome: events whose publish had no outcome when a Redrive ended are put
// back by the next one. They are not stored twice where the broker recognises message IDs.
func TestEndsBeforeTheOutcome(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(3)
		b.broker.LoseAckOfNext()
		b.broker.DelayNext(time.Hour) // the Redrive abandons it, so it is not stored
		ctx, stop := context.WithTimeout(b.Context(), time.Minute)
		defer stop()
		got, err := deadletter.Redrive(ctx, b.client, "payments", seats)
		require.ErrorIs(b, err, context.DeadlineExceeded)
		require.Equal(b, deadletter.Result{Redriven: 1}, got)
		require.Equal(b, []string{"0", "2"}, b.putBack(3))

		b.expect(deadletter.Result{Redriven: 2})
		if b.headers {
			require.Equal(b, []string{"0", "2", "1"}, b.putBack(3))
		} else {
			require.Equal(b, []string{"0", "2", "0", "1"}, b.putBack(3))
		}
	})
}

// TestGoesOnAcrossMembers: dead letters that were sent to a Redrive that was killed come to
// the next one after their ack wait.
func TestGoesOnAcrossMembers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(50)
		// This member has all of them, and settles none.
		dead := access.Session(b.connect("killed")).Conn
		sub, err := dead.Subscribe(b.Context(), transport.SubscribeConfig{
			Subject: deadLetters, Durable: deadletter.Group, Group: deadletter.Group, AckWait: 2 * time.Second, MaxInFlight: 50,
		}, func(transport.Delivery) {})
		require.NoError(b, err)
		synctest.Wait()
		if b.headers {
			sub.Stop() // JetStream sends only to members that ask
		}
		b.expect(deadletter.Result{Redriven: 50})
		require.NoError(b, sub.Close(b.Context()))
	})
}

func TestLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(10)
		begun := time.Now()
		b.expect(deadletter.Result{Redriven: 3, Kept: 1}, except("1"), deadletter.Limit(3))
		require.Less(b, time.Since(begun), time.Second)
		require.Equal(b, []string{"0", "2", "3"}, b.putBack(10))
		b.expect(deadletter.Result{Redriven: 7}, deadletter.Limit(100))
		require.Len(b, b.putBack(10), 10)
	})
}

// TestWherePanics: a panic concerns the one dead letter, which stays.
func TestWherePanics(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(3)
		got, err := b.redrive(deadletter.Where(func(dead events.DeadLetter) bool {
			if dead.Sequence == 2 {
				panic("no")
			}
			return true
		}))
		require.ErrorContains(b, err, "1 of 3 could not be put back, the first since: the function of option Where: it panicked: no")
		require.Equal(b, deadletter.Result{Redriven: 2, Failed: 1}, got)
		b.expect(deadletter.Result{Redriven: 1})
	})
}

// TestWhereExits: the same holds when the filter calls runtime.Goexit, as FailNow does.
func TestWhereExits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(3)
		got, err := b.redrive(deadletter.Where(func(dead events.DeadLetter) bool {
			if dead.Sequence == 2 {
				runtime.Goexit()
			}
			return true
		}))
		require.ErrorContains(b, err, "the function of option Where: it called runtime.Goexit")
		require.Equal(b, deadletter.Result{Redriven: 2, Failed: 1}, got)
		b.expect(deadletter.Result{Redriven: 1})
	})
}

// TestRefused: the dead letter of an event that the broker does not store is not
// acknowledged.
func TestRefused(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(3)
		b.broker.RefuseNext()
		got, err := b.redrive()
		require.ErrorContains(b, err, "1 of 3 could not be put back, the first since: not stored: refused by the server: on demand")
		require.ErrorIs(b, err, transport.ErrNotStored)
		require.Equal(b, deadletter.Result{Redriven: 2, Failed: 1}, got)
		b.expect(deadletter.Result{Redriven: 1})
		require.ElementsMatch(b, []string{"0", "1", "2"}, b.putBack(3))
	})
}

// TestWaitsForTheBroker: a Redrive waits for an outcome, however long that takes.
func TestWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(1)
		b.broker.DelayNext(time.Minute)
		b.expect(deadletter.Result{Redriven: 1})
		require.Equal(b, []string{"0"}, b.putBack(1))
	})
}

// TestEnds: a Redrive ends although every event fails again at once. Dead letters that are
// stored after it began are for the next one.
func TestEnds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetters(20)
		b.expect(deadletter.Result{Redriven: 20}, deadletter.Where(func(events.DeadLetter) bool {
			b.storeDeadLetter("again")
			return true
		}))
		b.expect(deadletter.Result{Redriven: 20})
	})
}

// TestNotADeadLetter: a message that is not a dead letter stays, and others are put back.
func TestNotADeadLetter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.store(deadLetters, []byte("null"), nil)
		invalid := b.storeDeadLetter("invalid")
		invalid.Sequence++
		b.write(invalid)
		b.write(events.NewDeadLetter(events.DeadLetter{
			Original: "c", Group: "payments", Sequence: 1, Timestamp: time.Now(), FailedAt: time.Now(), Reason: events.DeadLetterInvalid,
		}))
		got, err := b.redrive()
		require.Equal(b, deadletter.Result{Redriven: 1, Failed: 2, Kept: 1}, got)
		require.ErrorContains(b, err, "message 1 is not a dead letter")
		got, _ = b.redrive()
		require.Equal(b, deadletter.Result{Failed: 2, Kept: 1}, got)
	})
}

// TestTheGroupGetsItBack: the listener that gave the event up handles it.
func TestTheGroupGetsItBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		b.storeDeadLetter(`{"id":"a"}`)
		b.expect(deadletter.Result{Redriven: 1})
		ctx, stop := context.WithCancel(b.Context())
		l, err := listener.New(b.client, "payments", func(_ context.Context, e seat, d listener.Delivery) error {
			require.Equal(b, "a", e.ID)
			if d.Sequence == 2 {
				if b.headers {
					require.Equal(b, []string{"payments"}, d.Header[deadletter.RedrivenFor])
				}
				stop()
			}
			return nil
		})
		require.NoError(b, err)
		require.NoError(b, l.Listen(ctx))
	})
}

// TestOtherGroups: events that one group can't handle, and another can, are put back when
// the first is mended. The other group gets them again, unless it recognises their IDs.
func TestOtherGroups(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		const n = 20
		var mu sync.Mutex
		mended, handled := false, map[string]map[string]int{"payments": {}, "mails": {}}
		handle := func(group string) listener.Handler[seat] {
			return func(_ context.Context, e seat, _ listener.Delivery) error {
				mu.Lock()
				defer mu.Unlock()
				if group == "payments" && !mended && len(e.ID) == 1 {
					return listener.Reject(errors.New("of one digit"))
				}
				handled[group][e.ID]++
				return nil
			}
		}
		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		var runners []listener.Runner
		for group := range handled {
			l, err := listener.New(b.client, group, handle(group))
			require.NoError(b, err)
			runners = append(runners, l)
		}
		go func() { ended <- listener.Run(ctx, runners...) }()
		p, err := publisher.New[seat](b.client)
		require.NoError(b, err)
		for i := range n {
			require.NoError(b, p.Publish(ctx, seat{ID: strconv.Itoa(i)}))
		}
		time.Sleep(time.Minute)
		require.Len(b, b.broker.Stored(deadLetters), 10)
		mu.Lock()
		require.Len(b, handled["payments"], n-10)
		require.Len(b, handled["mails"], n)
		mended = true
		mu.Unlock()
		b.expect(deadletter.Result{Redriven: 10})
		time.Sleep(time.Minute)
		stop()
		require.NoError(b, <-ended)

		for i := range n {
			id, again := strconv.Itoa(i), 1
			if i < 10 && !b.headers {
				again = 2
			}
			require.Equal(b, 1, handled["payments"][id], id)
			require.Equal(b, again, handled["mails"][id], id)
		}
		require.Equal(b, []string{deadLetters, string(seats)}, b.broker.Subjects())
	})
}

type seat struct {
	ID string `json:"id"`
}

func (seat) Subject() subjects.Subject { return seats }

func TestRefuses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *fixture) {
		redrive := func(c *client.Client, group string, subject subjects.Subject, opts ...deadletter.Option) error {
			_, err := deadletter.Redrive(b.Context(), c, group, subject, opts...)
			return err
		}
		for text, err := range map[string]error{
			"client: nil":              redrive(nil, "payments", seats),
			"invalid group":            redrive(b.client, "", seats),
			"invalid subject":          redrive(b.client, "payments", ">"),
			"subject of the dead":      redrive(b.client, strings.Repeat("g", 125), subjects.Subject(strings.Repeat("s", 125))),
			"listeners store marks":    redrive(b.client, "_begun", seats),
			"option: nil":              redrive(b.client, "payments", seats, nil),
			"option Where: nil":        redrive(b.client, "payments", seats, deadletter.Where(nil)),
			"option Limit: 0; must be": redrive(b.client, "payments", seats, deadletter.Limit(0)),
		} {
			require.ErrorContains(b, err, text)
			require.ErrorIs(b, err, client.ErrInvalid)
		}
		require.NoError(b, b.client.Close(b.Context()))
		require.ErrorIs(b, redrive(b.client, "payments", seats), transport.ErrClosed)
		ended, stop := context.WithCancelCause(b.Context())
		stop(errors.New("enough"))
		b.client = b.connect("another")
		_, err := deadletter.Redrive(ended, b.client, "payments", seats)
		require.ErrorContains(b, err, "enough")
	})
}

// FuzzRedrive: a message on the dead letters' channel is put back or stays, whatever it is.
func FuzzRedrive(f *testing.F) {
	whole, _ := codec.JSON{}.Encode(new(events.NewDeadLetter(events.DeadLetter{
		Original: seats, Group: "payments", Sequence: 1, Timestamp: time.Unix(1, 1), FailedAt: time.Unix(2, 0),
		Reason: events.DeadLetterInvalid, Data: []byte("x"), Header: map[string][]string{"a": {"b"}},
	})))
	f.Add(whole)
	f.Add([]byte(strings.Replace(string(whole), `"data":"eA=="`, `"truncated":true`, 1)))
	f.Add([]byte(strings.Replace(string(whole), "payments", "mails", 2)))
	f.Add([]byte(`{"id":"a/1/1/b","data":"eA=="}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		synctest.Test(t, func(t *testing.T) {
			b := &fixture{T: t, broker: memory.New(memory.JetStream()), headers: true}
			b.client = b.connect("test")
			b.store(deadLetters, payload, nil)
			var seen events.DeadLetter
			got, err := b.redrive(deadletter.Where(func(d events.DeadLetter) bool { seen = d; return true }))
			require.Equal(b, 1, got.Redriven+got.Kept+got.Failed)
			require.Equal(b, got.Failed > 0, err != nil)
			require.Len(b, b.putBack(0), got.Redriven)
			if got.Redriven > 0 {
				require.Equal(b, []string{string(seen.Data)}, b.putBack(0))
			}
			if again, _ := b.redrive(); got.Redriven > 0 {
				require.Equal(b, deadletter.Result{}, again)
			} else {
				require.Equal(b, got, again, "it stays")
			}
		})
	})
}
