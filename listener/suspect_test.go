package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

const lettersOfG = "dead.g.expiration:complete"

// marks returns the marks that are stored, and on which subject.
func marks(broker *memory.Broker) (of string, all []transport.Message) {
	for _, of := range broker.Subjects() {
		if events.IsMark(subjects.Subject(of)) {
			return of, broker.Stored(of)
		}
	}
	return "", nil
}

// mortal imitates a process: what it has is gone at once when it is killed, and nothing that
// it does afterwards reaches the broker.
type mortal struct {
	t      *testing.T
	client *client.Client
	conn   transport.Conn
	killed chan struct{}
	ended  chan error
	stop   context.CancelFunc
}

// startKillable starts one whose handler may kill it.
func startKillable(t *testing.T, broker *memory.Broker, name string, h func(*mortal) listener.Handler[expiration], opts ...listener.Option) *mortal {
	t.Helper()
	return startOn(t, broker, name, nil, h, opts...)
}

// startOn starts one on a connection that wrap changes.
func startOn(
	t *testing.T, broker *memory.Broker, name string, wrap func(transport.Conn) transport.Conn, h func(*mortal) listener.Handler[expiration], opts ...listener.Option,
) *mortal {
	t.Helper()
	p := connectKillable(t, broker, name, wrap)
	l, err := listener.New(p.client, "g", h(p), append([]listener.Option{listener.DrainTimeout(time.Second)}, opts...)...)
	require.NoError(t, err)
	p.listen(l)
	return p
}

func connectKillable(t *testing.T, broker *memory.Broker, name string, wrap func(transport.Conn) transport.Conn) *mortal {
	t.Helper()
	p := &mortal{t: t, killed: make(chan struct{}), ended: make(chan error, 2)}
	dial := broker.Dialer()
	c, err := client.Build(t.Context(), "ticketing", name, "nats://none", client.Logger(slog.New(slog.DiscardHandler)),
		client.Transport(func(ctx context.Context, config transport.Config) (transport.Conn, error) {
			conn, err := dial(ctx, config)
			p.conn = conn
			if wrap != nil && err == nil {
				conn = wrap(conn)
			}
			return conn, err
		}))
	require.NoError(t, err)
	p.client = c
	return p
}

// listen makes it listen.
func (p *mortal) listen(l interface {
	listener.Runner
	Ready() <-chan struct{}
},
) {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	p.stop = stop
	ready := l.Ready()
	go func() { p.ended <- l.Listen(ctx) }()
	<-ready
}

// kill ends the process. Of a handler it does not return. What the process had comes again at
// once here, also with JetStream's behaviour; that waits for the ack wait, and so does kill.
func (p *mortal) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.conn.Close(ctx)
	if p.conn.Features().Nak {
		time.Sleep(5 * time.Second)
	}
	close(p.killed)
	<-p.t.Context().Done()
}

// end ends it in good order.
func (p *mortal) end() {
	p.stop()
	if err := <-p.ended; err != nil {
		p.t.Log(err)
	}
	_ = p.client.Close(context.Background())
}

// tally counts what handlers did with events.
type tally struct {
	mu          sync.Mutex
	begun, done map[string]int
}

func newTally() *tally { return &tally{begun: make(map[string]int), done: make(map[string]int)} }

func (c *tally) begin(event string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun[event]++
	return c.begun[event]
}

func (c *tally) end(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[event]++
}

func (c *tally) times(event string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun[event]
}

func (c *tally) handled() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.done)
}

// killedBy returns a handler that is killed by one event, and counts the others.
func (c *tally) killedBy(event string) func(*mortal) listener.Handler[expiration] {
	return func(p *mortal) listener.Handler[expiration] {
		return func(_ context.Context, e expiration, _ listener.Delivery) error {
			c.begin(e.OrderID)
			if e.OrderID == event {
				p.kill()
				return nil
			}
			time.Sleep(10 * time.Millisecond)
			c.end(e.OrderID)
			return nil
		}
	}
}

// restart starts a process again and again while it is killed, and returns how often it was. It returns when the last
// one has lived for that long.
func restart(
	t *testing.T, broker *memory.Broker, name func(n int) string, pause, lives time.Duration, h func(*mortal) listener.Handler[expiration], opts ...listener.Option,
) (kills int) {
	t.Helper()
	for ; kills < 20; kills++ {
		p := startKillable(t, broker, name(kills), h, opts...)
		select {
		case <-p.killed:
			time.Sleep(pause)
		case <-time.After(lives):
			p.end()
			return kills
		}
	}
	return kills
}

func oneName(int) string      { return "p" }
func namesOfOwn(n int) string { return "p" + strconv.Itoa(n) }
func letterOf(t *testing.T, b *memory.Broker) events.DeadLetter {
	t.Helper()
	letters := b.Stored(lettersOfG)
	require.Len(t, letters, 1)
	return decodeDeadLetter(t, letters[0].Data)
}

// TestAnEventThatEndsItsProcess: what is behind it is handled, and after some processes it is a dead letter, under one
// client ID and under many, however soon the next process comes.
func TestAnEventThatEndsItsProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		names func(int) string
		pause time.Duration
		opts  []listener.Option
	}{
		"one client ID, at once":             {oneName, 0, nil},
		"one client ID, after 1 min":         {oneName, time.Minute, nil},
		"client IDs of their own":            {namesOfOwn, 100 * time.Millisecond, nil},
		"several at a time":                  {namesOfOwn, time.Second, []listener.Option{listener.Concurrency(4)}},
		"one in flight":                      {namesOfOwn, time.Second, []listener.Option{listener.MaxInFlight(1)}},
		"settled by hand, which is not done": {namesOfOwn, time.Second, []listener.Option{listener.ManualAck()}},
		"with an ordering key": {namesOfOwn, time.Second, []listener.Option{
			listener.Concurrency(2), listener.OrderingKey(func(expiration) string { return "all" }),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				publishExpirations(t, broker, 20)
				counts := newTally()
				h := counts.killedBy("o3")
				if name == "settled by hand, which is not done" {
					h = func(p *mortal) listener.Handler[expiration] {
						return func(_ context.Context, e expiration, d listener.Delivery) error {
							counts.begin(e.OrderID)
							if e.OrderID == "o3" {
								go func() {
									time.Sleep(50 * time.Millisecond)
									p.kill()
								}()
								return nil
							}
							time.Sleep(100 * time.Millisecond)
							counts.end(e.OrderID)
							return d.Ack()
						}
					}
				}
				kills := restart(t, broker, c.names, c.pause, time.Minute, h, c.opts...)
				require.LessOrEqual(t, kills, 7)
				require.GreaterOrEqual(t, kills, 6, "three before it is suspect, three with a mark")
				require.Equal(t, 19, counts.handled())
				letter := letterOf(t, broker)
				require.Equal(t, events.DeadLetterCrashed, letter.Reason)
				require.Zero(t, letter.Attempts, "no handler of the process that gave it up ran on it")
				require.Equal(t, "o3", orderOf(t, letter.Data))
				require.Contains(t, letter.Error, "3 processes ended while they ran it")
				require.NoError(t, letter.Validate())
			})
		})
	}
}

// fatalCodec ends the process with one payload, as a type's own UnmarshalJSON may.
type fatalCodec struct {
	codec.JSON
	fatal string
	dead  *atomic.Bool
	kill  func()
}

func (c fatalCodec) Decode(data []byte, v any) error {
	if strings.Contains(string(data), c.fatal) && !c.dead.Swap(true) {
		c.kill()
	}
	return c.JSON.Decode(data, v)
}

// TestAPayloadThatEndsItsProcess: of an event that may end the process, the log decodes
// nothing to name its entity.
func TestAPayloadThatEndsItsProcess(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		other, err := client.Build(t.Context(), "ticketing", "publisher", "nats://none", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		for version := range int64(10) {
			publish(t, other, ticket(version))
		}
		require.NoError(t, other.Close(t.Context()))
		kills, applied := 0, newTally()
		for alive := false; !alive && kills < 20; {
			p := connectKillable(t, broker, namesOfOwn(kills), nil)
			l, err := listener.New(p.client, "g", func(_ context.Context, e events.TicketUpdated, _ listener.Delivery) error {
				applied.end(strconv.FormatInt(e.Version, 10))
				return nil
			}, listener.DrainTimeout(time.Second), listener.Codec(fatalCodec{fatal: `"version":3,`, dead: new(atomic.Bool), kill: p.kill}))
			require.NoError(t, err)
			p.listen(l)
			select {
			case <-p.killed:
				kills++
				time.Sleep(time.Second)
			case <-time.After(time.Minute):
				p.end()
				alive = true
			}
		}
		require.LessOrEqual(t, kills, 7)
		require.Equal(t, 9, applied.handled())
		letters := broker.Stored("dead.g.ticket:updated")
		require.Len(t, letters, 1)
		require.Equal(t, events.DeadLetterCrashed, decodeDeadLetter(t, letters[0].Data).Reason)
	})
}

// TestWhatRunsBesideAnEventThatEndsItsProcess: in another listener of the process. It is not
// given up for that.
func TestWhatRunsBesideAnEventThatEndsItsProcess(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 1)
		other, err := client.Build(t.Context(), "ticketing", "publisher", "nats://none", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		publish(t, other, ticket(1))
		require.NoError(t, other.Close(t.Context()))
		kills, done := 0, newTally()
		for alive := false; !alive && kills < 20; {
			p := connectKillable(t, broker, namesOfOwn(kills), nil)
			fatal, err := listener.New(p.client, "g", func(context.Context, expiration, listener.Delivery) error {
				time.Sleep(300 * time.Millisecond)
				p.kill()
				return nil
			}, listener.DrainTimeout(time.Second))
			require.NoError(t, err)
			slow, err := listener.New(p.client, "g", func(_ context.Context, e events.TicketUpdated, _ listener.Delivery) error {
				time.Sleep(time.Second)
				select {
				case <-p.killed:
				default:
					done.end(e.ID)
				}
				return nil
			}, listener.DrainTimeout(time.Second))
			require.NoError(t, err)
			p.listen(slow)
			stop := p.stop
			p.listen(fatal)
			select {
			case <-p.killed:
				kills++
			case <-time.After(time.Minute):
				alive = true
			}
			stop()
			p.stop()
			for range 2 {
				if err := <-p.ended; err != nil {
					t.Log(err)
				}
			}
			if alive {
				require.NoError(t, p.client.Close(context.Background()))
			}
			time.Sleep(6 * time.Second)
		}
		require.LessOrEqual(t, kills, 8)
		require.Len(t, broker.Stored(lettersOfG), 1)
		require.Empty(t, broker.Stored("dead.g.ticket:updated"))
		require.Equal(t, 1, done.handled())
	})
}

func orderOf(t *testing.T, data []byte) string {
	t.Helper()
	var e expiration
	require.NoError(t, codec.JSON{}.Decode(data, &e))
	return e.OrderID
}

// TestNothingIsStoredWhereNothingIsSuspect: no mark, and no channel for it.
func TestNothingIsStoredWhereNothingIsSuspect(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 20)
		counts := newTally()
		p := startKillable(t, broker, "p", func(*mortal) listener.Handler[expiration] {
			return func(_ context.Context, e expiration, _ listener.Delivery) error {
				if counts.begin(e.OrderID) < 5 {
					return errNotToday
				}
				counts.end(e.OrderID)
				return nil
			}
		}, listener.Concurrency(4), listener.MaxAttempts(9))
		time.Sleep(10 * time.Minute)
		require.Equal(t, 20, counts.handled())
		require.NotContains(t, strings.Join(broker.Subjects(), " "), "_begun")
		p.end()
	})
}

// untilSuspect delivers an event to processes that are killed before its handler has begun, so that it is suspect.
func untilSuspect(t *testing.T, broker *memory.Broker) {
	t.Helper()
	for n := range 3 {
		p := startKillable(t, broker, "before"+strconv.Itoa(n), func(p *mortal) listener.Handler[expiration] {
			return func(context.Context, expiration, listener.Delivery) error { p.kill(); return nil }
		})
		<-p.killed
	}
}

// TestOrderlyRestartsGiveNothingUp: the handler of a suspect event is slow, and each process is ended in good order
// while it runs.
func TestOrderlyRestartsGiveNothingUp(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 1)
		untilSuspect(t, broker)
		counts := newTally()
		for n := range 8 {
			p := startKillable(t, broker, namesOfOwn(n), func(*mortal) listener.Handler[expiration] {
				return func(_ context.Context, e expiration, _ listener.Delivery) error {
					counts.begin(e.OrderID)
					time.Sleep(2 * time.Minute) // does not heed its context
					return errNotToday
				}
			})
			time.Sleep(time.Minute)
			p.end()
			time.Sleep(5 * time.Minute)
		}
		require.GreaterOrEqual(t, counts.times("o0"), 8)
		require.Empty(t, broker.Stored(lettersOfG))
		_, last := marks(broker)
		require.NotContains(t, string(last[len(last)-1].Data), "events", "the mark was taken back")
	})
}

// lateMark is a connection on which a mark that names an event is stored at once, and
// confirmed late. onMark is called when it is stored.
type lateMark struct {
	transport.Conn

	after  time.Duration
	onMark func()

	mu      sync.Mutex
	waiting map[transport.Ticket]transport.Receipt
}

func (c *lateMark) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	if !events.IsMark(subjects.Subject(m.Subject)) || !strings.Contains(string(m.Data), `"events"`) {
		return c.Conn.Publish(m, r)
	}
	c.Conn.Publish(m, ignoredReceipt{})
	c.mu.Lock()
	ticket := transport.Ticket(1<<60 + len(c.waiting))
	c.waiting[ticket] = r
	c.mu.Unlock()
	time.AfterFunc(c.after, func() { c.settle(ticket, nil) })
	c.onMark()
	return ticket
}

func (c *lateMark) Abandon(t transport.Ticket) {
	if t < 1<<60 {
		c.Conn.Abandon(t)
		return
	}
	c.settle(t, transport.ErrOutcomeUnknown)
}

func (c *lateMark) settle(t transport.Ticket, err error) {
	c.mu.Lock()
	r := c.waiting[t]
	c.waiting[t] = nil
	c.mu.Unlock()
	if r != nil {
		r.Done(err)
	}
}

func (c *lateMark) Close(ctx context.Context) error {
	err := c.Conn.Close(ctx)
	c.mu.Lock()
	tickets := slices.Collect(maps.Keys(c.waiting))
	c.mu.Unlock()
	for _, t := range tickets {
		c.settle(t, transport.ErrOutcomeUnknown)
	}
	return err
}

type ignoredReceipt struct{}

func (ignoredReceipt) Done(error) {}

// TestDrainWhileAMarkIsStored: the process ends in good order while the mark of an event is on
// its way. The event has not begun, so that the mark must not count against it.
func TestDrainWhileAMarkIsStored(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"confirmed late": 100 * time.Millisecond, "never confirmed": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				publishExpirations(t, broker, 1)
				untilSuspect(t, broker)
				stored := make(chan struct{}, 10)
				wrap := func(conn transport.Conn) transport.Conn {
					return &lateMark{Conn: conn, after: after, onMark: func() { stored <- struct{}{} }, waiting: make(map[transport.Ticket]transport.Receipt)}
				}
				p := startOn(t, broker, "ends", wrap, func(*mortal) listener.Handler[expiration] {
					return func(context.Context, expiration, listener.Delivery) error { return nil }
				}, listener.DrainTimeout(time.Minute))
				<-stored
				p.end()
				_, all := marks(broker)
				require.NotContains(t, string(all[len(all)-1].Data), "events", "the mark was taken back")
			})
		})
	}
}

// TestADurableWithoutAGroup gives up what ends its process, too.
func TestADurableWithoutAGroup(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 3)
		counts := newTally()
		var kills int
		for ; kills < 20; kills++ {
			p := connectKillable(t, broker, "p", nil)
			l, err := listener.New(p.client, "", counts.killedBy("o1")(p), listener.DurableName("d"), listener.DrainTimeout(time.Second))
			require.NoError(t, err)
			p.listen(l)
			select {
			case <-p.killed:
				continue
			case <-time.After(time.Minute):
			}
			p.end()
			break
		}
		require.Equal(t, 6, kills)
		require.Equal(t, 2, counts.handled())
		require.Len(t, broker.Stored("dead.d.expiration:complete"), 1)
	})
}

// TestSlowMembersThatAreRestarted one after another, in good order, while the server sends events again and again that
// they can't begin in time: nothing is given up.
func TestSlowMembersThatAreRestarted(t *testing.T) {
	t.Parallel()
	const all, members = 64, 5
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, all)
		counts := newTally()
		slow := func(*mortal) listener.Handler[expiration] {
			return func(ctx context.Context, e expiration, _ listener.Delivery) error {
				select {
				case <-time.After(4 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				if counts.begin(e.OrderID) == 1 {
					return errNotToday
				}
				counts.end(e.OrderID)
				return nil
			}
		}
		running := make([]*mortal, members)
		for n := range running {
			running[n] = startKillable(t, broker, "m"+strconv.Itoa(n), slow)
		}
		for round := range 20 {
			time.Sleep(11 * time.Second)
			n := round % members
			running[n].end()
			running[n] = startKillable(t, broker, "m"+strconv.Itoa(n), slow)
		}
		time.Sleep(time.Hour)
		require.Equal(t, all, counts.handled())
		require.Empty(t, broker.Stored(lettersOfG))
		for _, p := range running {
			require.Equal(t, client.Connected, p.client.Status().State)
			p.end()
		}
	})
}

// TestAPatternHasMarksForEachSubject: a stream may store the dead letters of some subjects alone.
func TestAPatternHasMarksForEachSubject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := memory.New(memory.JetStream())
		raw, err := publisher.NewRaw(onMemory(t, broker))
		require.NoError(t, err)
		for _, subject := range []subjects.Subject{"seat.a", "seat.b"} {
			require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: subject, Data: []byte("{}")}))
		}
		var kills int
		for ; kills < 20; kills++ {
			p := connectKillable(t, broker, namesOfOwn(kills), nil)
			l, err := listener.NewRaw(p.client, "seat.*", "g", func(context.Context, []byte, listener.Delivery) error {
				p.kill()
				return nil
			}, listener.DrainTimeout(time.Second))
			require.NoError(t, err)
			p.listen(l)
			select {
			case <-p.killed:
				continue
			case <-time.After(time.Minute):
			}
			p.end()
			break
		}
		require.LessOrEqual(t, kills, 12)
		for _, subject := range []string{"seat.a", "seat.b"} {
			require.NotEmpty(t, broker.Stored("dead._begun."+subject))
			letters := broker.Stored("dead.g." + subject)
			require.Len(t, letters, 1)
			require.Equal(t, events.DeadLetterCrashed, decodeDeadLetter(t, letters[0].Data).Reason)
		}
	})
}

// TestMembersThatLiveAreNotCounted: a slow event goes from member to member while its handlers run.
func TestMembersThatLiveAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := memory.New()
		publishExpirations(t, broker, 1)
		untilSuspect(t, broker)
		counts := newTally()
		slow := func(*mortal) listener.Handler[expiration] {
			return func(_ context.Context, e expiration, _ listener.Delivery) error {
				counts.begin(e.OrderID)
				time.Sleep(10 * time.Minute)
				counts.end(e.OrderID)
				return nil
			}
		}
		members := make([]*mortal, 6)
		for n := range members {
			members[n] = startKillable(t, broker, namesOfOwn(n), slow)
		}
		time.Sleep(time.Hour)
		require.Greater(t, counts.times("o0"), 3, "over NATS Streaming each member gets it")
		require.Equal(t, 1, counts.handled())
		require.Empty(t, broker.Stored(lettersOfG))
		for _, p := range members {
			p.end()
		}
	})
}

// TestAnOutcomeTakesTheMarkBack: a process that is killed after that does not count.
func TestAnOutcomeTakesTheMarkBack(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 1)
		untilSuspect(t, broker)
		var runs atomic.Int32
		for n := range 8 {
			p := startKillable(t, broker, namesOfOwn(n), func(p *mortal) listener.Handler[expiration] {
				return func(context.Context, expiration, listener.Delivery) error {
					runs.Add(1)
					time.AfterFunc(time.Second, p.kill)
					return listener.RetryAfter(time.Hour, errNotToday)
				}
			})
			select {
			case <-p.killed:
			case <-time.After(2 * time.Hour):
				require.FailNow(t, "it did not run")
			}
		}
		require.EqualValues(t, 8, runs.Load())
		require.Empty(t, broker.Stored(lettersOfG))
	})
}

// TestManySuspects run one at a time, and those that are harmless are handled.
func TestManySuspects(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		const all = 12
		publishExpirations(t, broker, all)
		for n := range 3 {
			p := startKillable(t, broker, namesOfOwn(n), func(p *mortal) listener.Handler[expiration] {
				return func(context.Context, expiration, listener.Delivery) error {
					time.Sleep(time.Second)
					p.kill()
					return nil
				}
			})
			<-p.killed
		}
		counts := newTally()
		var running, most atomic.Int32
		p := startKillable(t, broker, "last", func(*mortal) listener.Handler[expiration] {
			return func(_ context.Context, e expiration, d listener.Delivery) error {
				if d.Deliveries > 3 {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
				}
				time.Sleep(100 * time.Millisecond)
				counts.end(e.OrderID)
				return nil
			}
		}, listener.Concurrency(4))
		time.Sleep(5 * time.Minute)
		require.Equal(t, all, counts.handled())
		require.EqualValues(t, 1, most.Load())
		require.Empty(t, broker.Stored(lettersOfG))
		_, stored := marks(broker)
		require.NotEmpty(t, stored)
		require.Equal(t, client.Connected, p.client.Status().State)
		p.end()
	})
}

// TestASuspectThatHangs does not hold up the others for ever.
func TestASuspectThatHangs(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		const all = 6
		publishExpirations(t, broker, all)
		for n := range 3 {
			p := startKillable(t, broker, namesOfOwn(n), func(p *mortal) listener.Handler[expiration] {
				return func(context.Context, expiration, listener.Delivery) error { p.kill(); return nil }
			})
			<-p.killed
		}
		counts := newTally()
		p := startKillable(t, broker, "last", func(*mortal) listener.Handler[expiration] {
			return func(ctx context.Context, e expiration, _ listener.Delivery) error {
				counts.begin(e.OrderID)
				if e.OrderID == "o0" {
					<-ctx.Done()
					return ctx.Err()
				}
				counts.end(e.OrderID)
				return nil
			}
		}, listener.Concurrency(2))
		time.Sleep(5 * time.Minute)
		require.Equal(t, all-1, counts.handled())
		_, last := marks(broker)
		require.Contains(t, string(last[len(last)-1].Data), `"sequence":1}`, "it is still marked")
		p.end()
		_, last = marks(broker)
		require.NotContains(t, string(last[len(last)-1].Data), "events")
		require.Empty(t, broker.Stored(lettersOfG))
	})
}

// unmarkable is a connection whose broker takes no marks, or does not deliver them.
type unmarkable struct {
	transport.Conn

	publish, subscribe error
}

func (c unmarkable) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	if c.publish != nil && events.IsMark(subjects.Subject(m.Subject)) {
		r.Done(c.publish)
		return 0
	}
	return c.Conn.Publish(m, r)
}

func (c unmarkable) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if c.subscribe != nil && events.IsMark(subjects.Subject(s.Subject)) {
		return nil, c.subscribe
	}
	return c.Conn.Subscribe(ctx, s, deliver)
}

// slowMarks is a connection over which the subscription to marks takes a second.
type slowMarks struct {
	transport.Conn

	opened *atomic.Int32
}

func (c slowMarks) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if events.IsMark(subjects.Subject(s.Subject)) {
		c.opened.Add(1)
		time.Sleep(time.Second)
	}
	return c.Conn.Subscribe(ctx, s, deliver)
}

// TestListensThatAreShort: a client listens for a shorter time than it takes to read the marks, again and again. What one
// Listen has begun to read serves the next, so that the suspect event is handled.
func TestListensThatAreShort(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 1)
		untilSuspect(t, broker)
		time.Sleep(time.Minute) // until the event comes again
		counts, opened := newTally(), new(atomic.Int32)
		p := connectKillable(t, broker, "short", func(conn transport.Conn) transport.Conn { return slowMarks{conn, opened} })
		l, err := listener.New(p.client, "g", func(_ context.Context, e expiration, _ listener.Delivery) error { counts.end(e.OrderID); return nil })
		require.NoError(t, err)
		for range 10 {
			p.listen(l)
			time.Sleep(400 * time.Millisecond)
			p.stop()
			require.NoError(t, <-p.ended)
		}
		require.Equal(t, 1, counts.handled())
		require.Equal(t, int32(1), opened.Load())
		require.NoError(t, p.client.Close(t.Context()))
		require.Empty(t, broker.Stored(lettersOfG))
	})
}

// TestWithoutMarks: where no mark can be stored or read, the event runs all the same, the client is degraded while it
// does, with the remedy, and nothing is given up.
func TestWithoutMarks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrap   unmarkable
		opts   []listener.Option
		remedy string
	}{
		"no permission to publish":   {unmarkable{publish: errors.Join(transport.ErrNotStored, transport.ErrForbidden)}, nil, "needs to publish and subscribe there"},
		"no stream":                  {unmarkable{publish: errors.Join(transport.ErrNotStored, transport.ErrInvalid)}, nil, "a stream has to store it"},
		"too many channels":          {unmarkable{publish: errors.Join(transport.ErrNotStored, errors.New("too many channels"))}, nil, "raise the server's limit"},
		"no permission to subscribe": {unmarkable{subscribe: transport.ErrForbidden}, nil, "dead._begun."},
		"no dead letters":            {unmarkable{}, []listener.Option{listener.NoDeadLetters()}, "option NoDeadLetters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				publishExpirations(t, broker, 2)
				counts := newTally()
				h := func(p *mortal) listener.Handler[expiration] {
					return func(_ context.Context, e expiration, d listener.Delivery) error {
						if e.OrderID == "o0" && counts.begin("o0") < 10 {
							if d.Deliveries > 3 {
								time.Sleep(time.Second)
								reasons := p.client.Status().Reasons
								require.Len(t, reasons, 1)
								require.Contains(t, reasons[0].Text, "that may end the process are not marked")
								require.ErrorContains(t, reasons[0].Err, c.remedy)
							}
							p.kill()
							return nil
						}
						counts.end(e.OrderID)
						return nil
					}
				}
				for n := range 9 {
					p := startOn(t, broker, namesOfOwn(n), func(conn transport.Conn) transport.Conn {
						wrapped := c.wrap
						wrapped.Conn = conn
						return wrapped
					}, h, c.opts...)
					<-p.killed
				}
				p := startOn(t, broker, "last", func(conn transport.Conn) transport.Conn {
					wrapped := c.wrap
					wrapped.Conn = conn
					return wrapped
				}, h, c.opts...)
				time.Sleep(time.Minute)
				require.Equal(t, 2, counts.handled())
				require.Empty(t, broker.Stored(lettersOfG))
				require.Equal(t, client.Connected, p.client.Status().State, "no event is suspect any more")
				p.end()
			})
		})
	}
}

// TestALinkThatIsLostMeanwhile is no reason to run without a mark, nor to be degraded.
func TestALinkThatIsLostMeanwhile(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publishExpirations(t, broker, 1)
		untilSuspect(t, broker)
		counts := newTally()
		broker.LoseAckOfNext() // of the first mark
		p := startKillable(t, broker, "p", func(*mortal) listener.Handler[expiration] {
			return func(_ context.Context, e expiration, _ listener.Delivery) error {
				_, all := marks(broker)
				require.Contains(t, string(all[len(all)-1].Data), "events", "it is marked")
				counts.end(e.OrderID)
				return nil
			}
		})
		time.Sleep(time.Second)
		broker.DropConnections()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			require.NotEqual(t, client.Degraded, p.client.Status().State)
		}
		require.Equal(t, 1, counts.handled())
		p.end()
	})
}

// TestReadersOfDeadLettersPassOverMarks, also those of a pattern.
func TestReadersOfDeadLettersPassOverMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := memory.New(memory.JetStream())
		publishExpirations(t, broker, 1)
		restart(t, broker, namesOfOwn, 0, time.Minute, newTally().killedBy("o0"))
		of, stored := marks(broker)
		require.NotEmpty(t, stored)
		c := onMemory(t, broker)
		var got, read []subjects.Subject
		all, err := listener.NewRaw(c, "dead.>", "tool", func(_ context.Context, _ []byte, d listener.Delivery) error {
			got = append(got, d.Subject)
			return nil
		}, listener.NoDeadLetters())
		require.NoError(t, err)
		own, err := listener.NewRaw(c, subjects.Subject(of), "marks", func(_ context.Context, _ []byte, d listener.Delivery) error {
			read = append(read, d.Subject)
			return nil
		}, listener.NoDeadLetters())
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		require.NoError(t, listener.Run(ctx, all, own))
		require.Equal(t, []subjects.Subject{lettersOfG}, got)
		require.Len(t, read, len(stored), "who asks for the marks gets them")
	})
}

// TestADeadLetterThatEndsItsProcess is not given up, and does not keep the others from being handled.
func TestADeadLetterThatEndsItsProcess(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		publisher := onMemory(t, broker)
		for n := range uint64(5) {
			publishDeadLetter(t, publisher, "payments", subjects.OrderCreated, n+1)
		}
		counts := newTally()
		for n := range 40 {
			p := connectKillable(t, broker, namesOfOwn(n), nil)
			of := listener.DeadLettersOf{Group: "payments", Subject: subjects.OrderCreated}
			l, err := listener.NewDeadLetters(p.client, "alerts", of, func(_ context.Context, e events.DeadLetter, d listener.Delivery) error {
				if e.Sequence == 1 {
					if counts.begin("1") > 3 {
						require.ErrorContains(t, p.client.Status().Reasons[0].Err, "dead letters make no dead letters")
					}
					p.kill()
					return nil
				}
				time.Sleep(time.Millisecond)
				counts.end(e.ID)
				return nil
			}, listener.DrainTimeout(time.Second))
			require.NoError(t, err)
			p.listen(l)
			<-p.killed
		}
		require.Equal(t, 4, counts.handled())
		_, all := marks(broker)
		require.Empty(t, all)
	})
}

// TestGroupNamedLikeMarks: its dead letters are none, and its marks are in its own place.
func TestGroupNamedLikeMarks(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"_begun", "_begun.a"} {
		require.False(t, events.IsMark(events.DeadLetterSubject(group, subjects.OrderCreated)), group)
		c := onMemory(t, memory.New())
		require.NoError(t, second(listener.New(c, group, func(context.Context, expiration, listener.Delivery) error { return nil })))
	}
}
