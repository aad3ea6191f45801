package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// logged is a message in the broker's log.
type logged struct {
	sequence uint64
	data     []byte
}

// log reads what the broker has stored on a subject, past the library.
func (c *scene) log(t *testing.T, subject string) []logged {
	t.Helper()
	switch c.side.name {
	case inMemory.name:
		return readMemory(c, subject)
	case jetStream.name:
		return readStream(t, c.server.url(), subject)
	default:
		return readChannel(t, c.server.url(), subject)
	}
}

func readMemory(c *scene, subject string) (log []logged) {
	for i, m := range c.broker.Stored(subject) {
		log = append(log, logged{uint64(i) + 1, m.Data})
	}
	return log
}

// readChannel reads the channel to the mark that it sets itself.
func readChannel(t *testing.T, url, subject string) (log []logged) {
	t.Helper()
	conn, err := stan.Connect(clusterID, "reader-"+rand.Text(), stan.NatsURL(url))
	require.NoError(t, err)
	defer conn.Close()
	mark := []byte(`{"n":0,"mark":"` + rand.Text() + `"}`)
	require.NoError(t, conn.Publish(subject, mark))

	read, done := make(chan logged, 1), make(chan struct{})
	defer close(done) // what comes behind the mark has no reader
	_, err = conn.Subscribe(subject, func(m *stan.Msg) {
		select {
		case read <- logged{m.Sequence, m.Data}:
		case <-done:
		}
	}, stan.DeliverAllAvailable(), stan.MaxInflight(10_000))
	require.NoError(t, err)
	for {
		select {
		case m := <-read:
			if bytes.Equal(m.data, mark) {
				return log
			}
			log = append(log, m)
		case <-time.After(patience):
			require.FailNow(t, "the log does not end")
		}
	}
}

func readStream(t *testing.T, url, subject string) (log []logged) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	defer nc.Close()
	raw, err := js.New(nc)
	require.NoError(t, err)
	stream, err := raw.Stream(ctx, clusterID)
	require.NoError(t, err)
	info, err := stream.Info(ctx, js.WithSubjectFilter(subject))
	require.NoError(t, err)
	consumer, err := stream.OrderedConsumer(ctx, js.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	require.NoError(t, err)
	for left := int(info.State.Subjects[subject]); left > 0; left = int(info.State.Subjects[subject]) - len(log) {
		batch, err := consumer.Fetch(min(1000, left))
		require.NoError(t, err)
		for m := range batch.Messages() {
			about, err := m.Metadata()
			require.NoError(t, err)
			log = append(log, logged{about.Sequence.Stream, m.Data()})
		}
		require.NoError(t, batch.Error())
	}
	return log
}

// letters are the dead letters that the broker has stored.
func (c *scene) letters(t *testing.T) (letters []events.DeadLetter) {
	t.Helper()
	for _, m := range c.log(t, string(events.DeadLetterSubject(group, subject))) {
		var letter events.DeadLetter
		require.NoError(t, json.Unmarshal(m.data, &letter), "%s", m.data)
		if letter.ID != "" { // a mark has none
			letters = append(letters, letter)
		}
	}
	return letters
}

// numbers are those of the events in a log, and 0 for what is none.
func numbers(log []logged) []int {
	numbers := make([]int, len(log))
	for i, m := range log {
		var e beat
		if json.Unmarshal(m.data, &e) == nil {
			numbers[i] = e.N
		}
	}
	return numbers
}
