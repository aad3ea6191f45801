package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

const (
	clusterID = "ticketing"
	subject   = "beat"
	group     = "listeners"

	// work is what a handler takes, so that a fault finds some that run.
	work = 2 * time.Millisecond
	// publishTimeout is how long a publish may wait for its server: longer than any
	// fault lasts.
	publishTimeout = time.Minute
)

// beat is the event that is sent all the time, and says itself what its handler does.
// Number 0 marks the end of the log.
type beat struct {
	N     int    `json:"n"`
	Does  string `json:"does,omitempty"`
	Takes int64  `json:"takes,omitzero"` // milliseconds, instead of work
}

// What a beat can have its handler do.
const (
	panics = "panics"
	fails  = "fails" // until it is mended
	exits  = "exits" // ends its process

	publishes = "publishes" // in a service that publishes at all
)

// exitCode is that of a process that its handler has ended.
const exitCode = 3

func (beat) Subject() subjects.Subject { return subject }

// perform is every handler.
func (e beat) perform(mended bool) error {
	time.Sleep(max(work, time.Duration(e.Takes)*time.Millisecond))
	switch {
	case e.Does == exits:
		os.Exit(exitCode) //nolint:revive // that is what this event is for
	case e.Does == panics:
		panic("a mistake in the handler")
	case e.Does == fails && !mended:
		return errors.New("what the handler needs is missing")
	}
	return nil
}

// message is a stored message: a server that lost its store counts from 1 again.
type message struct {
	Sequence uint64 `json:"sequence"`
	Stored   int64  `json:"stored"` // in nanoseconds since 1970
}

// side is a way to write a service.
type side struct {
	name    string // of the flag
	title   string
	options []client.Option // nil for raw
	connect func(ctx context.Context, s side, url, clientID string, log *slog.Logger) (member, error)
}

// member is a service that is connected.
type member interface {
	publish(e beat) error
	// send stores a payload as it is.
	send(data []byte) error
	// listen has handle called until ctx is done, and calls ready once it has subscribed.
	listen(ctx context.Context, s setup, ready func(), handle func(beat, message) error) error
	close(ctx context.Context) error
}

// setup is how a service listens.
type setup struct {
	Concurrency   int           `json:"concurrency"` // raw stan.go has none
	MaxInFlight   int           `json:"maxInFlight"`
	AckWait       time.Duration `json:"ackWait"`
	MaxAttempts   int           `json:"maxAttempts"`   // 0: the default
	NoDeadLetters bool          `json:"noDeadLetters"` // raw stan.go has none
}

// usual is what they listen with unless it matters.
var usual = setup{Concurrency: 4, MaxInFlight: 64, AckWait: 5 * time.Second}

func (s setup) options() []listener.Option {
	options := []listener.Option{listener.Concurrency(s.Concurrency), listener.MaxInFlight(s.MaxInFlight), listener.AckWait(s.AckWait)}
	if s.MaxAttempts > 0 {
		options = append(options, listener.MaxAttempts(s.MaxAttempts))
	}
	if s.NoDeadLetters {
		options = append(options, listener.NoDeadLetters())
	}
	return options
}

var (
	streaming = side{name: "streaming", title: "NATS Streaming", options: []client.Option{}, connect: connectOurs}
	jetStream = side{name: "jetstream", title: "JetStream", options: []client.Option{client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject))}, connect: connectOurs}
	inMemory  = side{name: "memory", title: "memory", options: []client.Option{}, connect: connectOurs} // of the scene's broker
	raw       = side{name: "raw", title: "raw stan.go", connect: connectRaw}
)

func (s side) ours() bool { return s.options != nil }

// sides are those to be measured behind a link.
func sides() []side { return chosen(streaming, jetStream, raw) }

func chosen(from ...side) []side {
	var chosen []side
	for _, s := range from {
		switch {
		case *only != "":
			if s.name == *only {
				chosen = append(chosen, s)
			}
		case s.ours(), *full:
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// ours is a service that is written with the library.
type ours struct {
	client    *client.Client
	publisher *publisher.Publisher[beat]
	raw       *publisher.Raw
}

func connectOurs(ctx context.Context, s side, url, clientID string, log *slog.Logger) (member, error) {
	c, err := client.Build(ctx, clusterID, clientID, url, append([]client.Option{client.Logger(log)}, s.options...)...)
	if err != nil {
		return nil, err
	}
	raw, err := publisher.NewRaw(c, publisher.Timeout(publishTimeout))
	if err != nil {
		return nil, err
	}
	p, err := publisher.New[beat](c)
	return ours{c, p, raw}, err
}

func (o ours) publish(e beat) error {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	return o.publisher.Publish(ctx, e)
}

func (o ours) send(data []byte) error {
	return o.raw.Publish(context.Background(), publisher.Message{Subject: subject, Data: data})
}

func (o ours) listen(ctx context.Context, s setup, ready func(), handle func(beat, message) error) error {
	l, err := listener.New(o.client, group, func(_ context.Context, e beat, d listener.Delivery) error {
		return handle(e, message{d.Sequence, d.Timestamp.UnixNano()})
	}, s.options()...)
	if err != nil {
		return err
	}
	subscribed, ended := l.Ready(), make(chan error, 1)
	go func() { ended <- l.Listen(ctx) }()
	select {
	case <-subscribed:
		ready()
		return <-ended
	case err := <-ended:
		return err
	}
}

func (o ours) close(ctx context.Context) error { return o.client.Close(ctx) }

// theirs is one that is written with stan.go, as its documentation shows: a durable
// queue group, acknowledged by hand, a handler for the connection's loss that logs.
type theirs struct{ conn stan.Conn }

func connectRaw(_ context.Context, _ side, url, clientID string, log *slog.Logger) (member, error) {
	conn, err := stan.Connect(clusterID, clientID, stan.NatsURL(url),
		stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { log.Error("connection lost", slog.Any("error", err)) }))
	if err != nil {
		return nil, err
	}
	return theirs{conn}, nil
}

func (r theirs) publish(e beat) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return r.send(data)
}

func (r theirs) send(data []byte) error { return r.conn.Publish(subject, data) }

func (r theirs) listen(ctx context.Context, s setup, ready func(), handle func(beat, message) error) error {
	sub, err := r.conn.QueueSubscribe(subject, group, func(m *stan.Msg) {
		var e beat
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return
		}
		if err := handle(e, message{m.Sequence, m.Timestamp}); err != nil {
			return
		}
		_ = m.Ack()
	}, stan.DurableName(group), stan.SetManualAckMode(), stan.AckWait(s.AckWait), stan.MaxInflight(s.MaxInFlight), stan.DeliverAllAvailable())
	if err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return sub.Close()
}

func (r theirs) close(context.Context) error {
	err := r.conn.Close()
	r.conn.NatsConn().Close() // stan.go leaves it open where the server does not answer
	return err
}

// outcome is what a publish says has become of its event.
type outcome int

const (
	pending outcome = iota
	confirmed
	refused // not stored
	unknown
)

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return confirmed
	case errors.Is(err, publisher.ErrOutcomeUnknown), errors.Is(err, stan.ErrTimeout):
		return unknown
	default:
		return refused
	}
}
