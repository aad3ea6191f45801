//go:build node

package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// TestUndecodablePayloadsStopNothing: what a Node service published and no Go service
// can read becomes a dead letter, which a Node service reads.
func TestUndecodablePayloadsStopNothing(t *testing.T) {
	t.Parallel()
	texts := []string{`null`, `not json`, `42`, `"t1"`, `[]`, `{"id":"t1"`, `{"id":1}`, ``}
	const brokenUTF8 = "{\"id\":\"\xff\"}"
	bad := append(slices.Clone(texts), brokenUTF8)

	srv := serve(t)
	lines := requests(tickets(1, 10))
	for _, text := range texts {
		lines = append(lines, request{Subject: subject, Text: &text})
	}
	lines = append(lines, request{Subject: subject, Bytes: []byte(brokenUTF8)})
	lines = append(lines, requests(tickets(11, 40))...)
	require.Equal(t, len(lines), publishFromNode(t, srv, nil, lines...))

	var got collection[handled]
	inGo := listenFromGo(t, srv, "go-1", group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(handled{e, "go-1", d.Redelivered})
		return nil
	}, listener.MaxInFlight(4)) // fewer than there are
	got.await(t, 40)
	require.Equal(t, 20, publishFromNode(t, srv, nil, requests(tickets(41, 60))...))
	got.await(t, 60)
	awaitSettled(t, srv, subject, uint64(len(bad)+60))
	inGo.leave(t)
	requireOnce(t, got.list(), 1, 60)

	var letters collection[arrival]
	inNode := listenFromNode(t, srv, "node-1", letters.add, "--group", group, string(events.DeadLetterSubject(group, subject)))
	letters.await(t, len(bad))
	inNode.leave(t)
	left := make(map[string]bool)
	for _, a := range letters.list() {
		var letter struct {
			Subject string `json:"subject"`
			Group   string `json:"group"`
			Reason  string `json:"reason"`
			Data    string `json:"data"`
		}
		require.NoError(t, json.Unmarshal(a.Raw, &letter))
		require.Equal(t, []string{string(subject), group, "undecodable"}, []string{letter.Subject, letter.Group, letter.Reason})
		data, err := base64.StdEncoding.DecodeString(letter.Data)
		require.NoError(t, err)
		left[string(data)] = true
	}
	for _, payload := range bad {
		assert.True(t, left[payload], "%q", payload)
	}
	assert.Len(t, letters.list(), len(bad))
}
