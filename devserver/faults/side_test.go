package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
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

// beat is the event that is sent all the time. Number 0 marks the end of the log.
type beat struct {
	N int `json:"n"`
}

func (beat) Subject() subjects.Subject { return subject }

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
	publish(n int) error
	// listen calls handled until ctx is done, and ready once it has subscribed.
	listen(ctx context.Context, ready func(), handled func(int, message)) error
	close(ctx context.Context) error
}

var (
	streaming = side{name: "streaming", title: "NATS Streaming", options: []client.Option{}, connect: connectOurs}
	jetStream = side{name: "jetstream", title: "JetStream", options: []client.Option{client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject))}, connect: connectOurs}
	raw       = side{name: "raw", title: "raw stan.go", connect: connectRaw}
)

func (s side) ours() bool { return s.options != nil }

// sides are those to be measured.
func sides() []side {
	var chosen []side
	for _, s := range []side{streaming, jetStream, raw} {
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
}

func connectOurs(ctx context.Context, s side, url, clientID string, log *slog.Logger) (member, error) {
	c, err := client.Build(ctx, clusterID, clientID, url, append([]client.Option{client.Logger(log)}, s.options...)...)
	if err != nil {
		return nil, err
	}
	p, err := publisher.New[beat](c)
	return ours{c, p}, err
}

func (o ours) publish(n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	return o.publisher.Publish(ctx, beat{N: n})
}

func (o ours) listen(ctx context.Context, ready func(), handled func(int, message)) error {
	l, err := listener.New(o.client, group, func(_ context.Context, e beat, d listener.Delivery) error {
		time.Sleep(work)
		handled(e.N, message{d.Sequence, d.Timestamp.UnixNano()})
		return nil
	}, listener.Concurrency(4))
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

func (r theirs) publish(n int) error {
	data, err := json.Marshal(beat{N: n})
	if err != nil {
		return err
	}
	return r.conn.Publish(subject, data)
}

func (r theirs) listen(ctx context.Context, ready func(), handled func(int, message)) error {
	sub, err := r.conn.QueueSubscribe(subject, group, func(m *stan.Msg) {
		var e beat
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return
		}
		time.Sleep(work)
		handled(e.N, message{m.Sequence, m.Timestamp})
		_ = m.Ack()
	}, stan.DurableName(group), stan.SetManualAckMode(), stan.AckWait(5*time.Second), stan.MaxInflight(64), stan.DeliverAllAvailable())
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
