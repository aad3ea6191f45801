package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"

	"github.com/nats-io/stan.go"
)

// rawStan is stan.go with encoding/json.
type rawStan struct {
	conn    stan.Conn
	subject string
}

func connectRawStan(_ context.Context, url string) (link, error) {
	conn, err := stan.Connect(cluster, rand.Text(), stan.NatsURL(url), stan.MaxPubAcksInflight(inFlight))
	if err != nil {
		return nil, err
	}
	return &rawStan{conn, newSubject()}, nil
}

func (l *rawStan) publish(_ context.Context, e ticket) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return l.conn.Publish(l.subject, data)
}

func (l *rawStan) pipeline(_ context.Context, n int, event func(int) ticket) error {
	var confirmed sync.WaitGroup
	var once sync.Once
	var failed error
	answered := func(_ string, err error) {
		if err != nil {
			once.Do(func() { failed = err })
		}
		confirmed.Done()
	}
	for i := range n {
		data, err := json.Marshal(event(i))
		if err != nil {
			return err
		}
		confirmed.Add(1)
		if _, err := l.conn.PublishAsync(l.subject, data, answered); err != nil {
			return err
		}
	}
	confirmed.Wait()
	return failed
}

func (l *rawStan) receive(_ context.Context, r reception) error {
	group := rand.Text()
	got := newReceived(r)
	var failed error
	sub, err := l.conn.QueueSubscribe(l.subject, group, func(m *stan.Msg) {
		var e ticket
		if err := json.Unmarshal(m.Data, &e); err != nil {
			failed = err
		}
		last := got.event(e)
		if err := m.Ack(); err != nil {
			failed = err
		}
		if last {
			got.finish()
		}
	}, stan.DurableName(group), stan.SetManualAckMode(), stan.MaxInflight(inFlight), stan.DeliverAllAvailable())
	if err != nil {
		return err
	}
	got.subscribed()
	<-got.all
	if err := sub.Unsubscribe(); err != nil {
		return err
	}
	return failed
}

func (l *rawStan) close() { _ = l.conn.Close() }
