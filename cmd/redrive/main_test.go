package main

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListsAndPutsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		c, err := client.Build(t.Context(), "ticketing", "test", "", client.Transport(b.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close(context.Background())) }()
		raw, err := publisher.NewRaw(c)
		require.NoError(t, err)
		at := time.Date(2026, 11, 21, 9, 0, 0, 1, time.UTC)
		for i, reason := range []events.DeadLetterReason{events.DeadLetterExhausted, events.DeadLetterUndecodable} {
			d := events.NewDeadLetter(events.DeadLetter{
				Original: subjects.OrderCreated, Group: "payments", Sequence: uint64(i) + 1, Timestamp: at, Attempts: 3,
				Error: "no such ticket", FailedAt: at, Reason: reason, Data: []byte(`{"id":"a"}`),
			})
			data, err := codec.JSON{}.Encode(&d)
			require.NoError(t, err)
			require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: d.Subject(), Data: data}))
		}
		const (
			exhausted = "order:created/1/1795251600000000001/payments exhausted after 3 attempts at 2026-11-21T09:00:00Z: no such ticket\n" +
				"\t\"{\\\"id\\\":\\\"a\\\"}\"\n"
			undecodable = "order:created/2/1795251600000000001/payments undecodable after 3 attempts at 2026-11-21T09:00:00Z: no such ticket\n" +
				"\t\"{\\\"id\\\":\\\"a\\\"}\"\n"
		)
		for _, step := range []struct {
			task task
			says string
		}{
			{task{list: true}, exhausted + undecodable + "put back: 0; duplicates: 0; left: 2; failed: 0\n"},
			{task{list: true, limit: 1}, exhausted + "put back: 0; duplicates: 0; left: 2; failed: 0\n"},
			{task{reason: events.DeadLetterUndecodable, list: true}, undecodable + "put back: 0; duplicates: 0; left: 2; failed: 0\n"},
			{task{reason: events.DeadLetterExhausted, limit: 5}, exhausted + "put back: 1; duplicates: 0; left: 1; failed: 0\n"},
			{task{}, undecodable + "put back: 1; duplicates: 0; left: 0; failed: 0\n"},
			{task{list: true}, "put back: 0; duplicates: 0; left: 0; failed: 0\n"},
		} {
			var out bytes.Buffer
			step.task.group, step.task.subject = "payments", subjects.OrderCreated
			require.NoError(t, step.task.run(t.Context(), c, &out))
			require.Equal(t, step.says, out.String())
		}
		require.Len(t, b.Stored("order:created"), 2)
	})
}

func TestChecksFlags(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]task{
		"-group and -subject":    {subject: "a"},
		`"lost" is not a reason`: {group: "g", subject: "a", reason: "lost"},
		"-limit: -1":             {group: "g", subject: "a", limit: -1},
		"they look swapped":      {group: "order:created", subject: "payments"},
	} {
		require.ErrorContains(t, run(t.Context(), wrong), text)
	}
}
