//go:build node

package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// witness is [codec.JSON] that reports what it can't decode.
type witness struct {
	codec.JSON
	undecodable *collection[string]
}

func (w witness) Decode(data []byte, v any) error {
	err := w.JSON.Decode(data, v)
	if err != nil {
		w.undecodable.add(string(data))
	}
	return err
}

func TestUndecodablePayloadsStopNothing(t *testing.T) {
	t.Parallel()
	texts := []string{`null`, `not json`, `42`, `"t1"`, `[]`, `{"id":"t1"`, `{"id":1}`, ``}
	const brokenUTF8 = "{\"id\":\"\xff\"}"
	bad := append(slices.Clone(texts), brokenUTF8)
	require.Less(t, len(bad), 16, "as many as MaxInFlight would stop the listener")

	srv := serve(t)
	lines := requests(tickets(1, 10))
	for _, text := range texts {
		lines = append(lines, request{Subject: subject, Text: &text})
	}
	lines = append(lines, request{Subject: subject, Bytes: []byte(brokenUTF8)})
	lines = append(lines, requests(tickets(11, 40))...)
	require.Equal(t, len(lines), publishFromNode(t, srv, nil, lines...))

	var got collection[handled]
	var undecodable collection[string]
	inGo := listenFromGo(t, srv, "go-1", group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(handled{e, "go-1", d.Redelivered})
		return nil
	}, listener.AckWait(2*time.Second), listener.Codec(witness{undecodable: &undecodable}))
	got.await(t, 40)

	// Each comes again, and still nothing is stopped.
	eventually(t, "all were delivered twice", func() (any, bool) {
		times := make(map[string]int)
		for _, payload := range undecodable.list() {
			times[payload]++
		}
		for _, payload := range bad {
			if times[payload] < 2 {
				return times, false
			}
		}
		return times, true
	})
	require.Equal(t, 20, publishFromNode(t, srv, nil, requests(tickets(41, 60))...))
	got.await(t, 60)
	last := uint64(len(bad) + 60)
	awaitSettled(t, srv, subject, last, len(bad))
	inGo.leave(t)
	requireOnce(t, got.list(), 1, 60)

	// They are still there, to the byte, for who can do something about them.
	var left collection[arrival]
	inNode := listenFromNode(t, srv, "node-1", left.add, "--ack-wait", "2000", "--group", group, string(subject))
	left.await(t, len(bad))
	awaitSettled(t, srv, subject, last, 0)
	inNode.leave(t)
	payloads := make(map[string]bool)
	for _, a := range left.list() {
		payloads[string(a.Raw)] = true
		assert.True(t, a.Redelivered, "%q", a.Raw)
	}
	for _, payload := range bad {
		assert.True(t, payloads[payload], "%q", payload)
	}
	assert.Len(t, payloads, len(bad))
}
