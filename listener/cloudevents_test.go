package listener_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// orders collects the orders that a handler got, with the IDs of their events.
type orders struct{ got, ids []string }

func (o *orders) handle(_ context.Context, e expiration, d listener.Delivery) error {
	o.got = append(o.got, e.OrderID)
	o.ids = append(o.ids, d.ID())
	return nil
}

// foreign stores what another publisher writes, and returns what became of it: orders that
// the handler got, and the errors of dead letters.
func foreign(t *testing.T, messages []transport.Message, opts ...client.Option) (got orders, deadLetters []events.DeadLetter, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.JetStream()), opts...)
		for _, m := range messages {
			s.store(expiration{}.Subject(), m.Header, string(m.Data))
		}
		stop := s.listen(got.handle)
		synctest.Wait()
		stop()
		deadLetters, log = s.letters(), s.log.String()
		s.close()
	})
	return got, deadLetters, log
}

func structured(contentType, payload string) transport.Message {
	return transport.Message{Header: transport.Header{"Content-Type": {contentType}}, Data: []byte(payload)}
}

const cloudEventsJSON = "application/cloudevents+json"

// TestStructuredMode: an event in CloudEvents' structured mode is decoded from its data, and has
// the ID that it would have in binary mode.
func TestStructuredMode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		message transport.Message
		id      string
	}{
		"data": {structured(cloudEventsJSON,
			`{"specversion":"1.0","type":"com.example.expired","source":"/node","id":"a 1","data":{"orderId":"o1"}}`), "/node a%25201"},
		"with a charset": {structured("Application/CloudEvents+JSON; charset=UTF-8",
			`{"specversion":"1.0","type":"x","source":"/node","id":"1","datacontenttype":"application/json","data":{"orderId":"o1"}}`), "/node 1"},
		"base64": {structured(cloudEventsJSON,
			`{"specversion":"1.0","type":"x","source":"/node","id":"1","extra":7,"none":null,"data_base64":"eyJvcmRlcklkIjoibzEifQ=="}`), "/node 1"},
		"a string of another format": {structured(cloudEventsJSON,
			`{"specversion":"1.0","type":"x","source":"/node","id":"1","datacontenttype":"text/plain","data":"{\"orderId\":\"o1\"}"}`), "/node 1"},
		"binary mode": {transport.Message{
			Header: transport.Header{"ce-source": {"/node"}, "ce-id": {"1"}, "Content-Type": {"application/json"}},
			Data:   []byte(`{"orderId":"o1"}`),
		}, "/node 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, deadLetters, _ := foreign(t, []transport.Message{test.message})
			require.Empty(t, deadLetters)
			require.Equal(t, []string{"o1"}, got.got)
			require.Equal(t, []string{test.id}, got.ids)
		})
	}
}

// TestStructuredModeUnreadable: what is no event, or no single one, is a dead letter that says so,
// with the bytes as they came.
func TestStructuredModeUnreadable(t *testing.T) {
	t.Parallel()
	for says, message := range map[string]transport.Message{
		"neither data nor data_base64": structured(cloudEventsJSON, `{"specversion":"1.0","orderId":"o1"}`),
		"both data and data_base64":    structured(cloudEventsJSON, `{"data":{},"data_base64":""}`),
		"not base64":                   structured(cloudEventsJSON, `{"data_base64":"*"}`),
		"not a string":                 structured(cloudEventsJSON, `{"data_base64":7}`),
		"not a JSON object":            structured(cloudEventsJSON, `[]`),
		"but null":                     structured(cloudEventsJSON, `null`),
		"batch of CloudEvents":         structured("application/cloudevents-batch+json", `[{"data":{"orderId":"o1"}}]`),
		"in another format than JSON":  structured("application/cloudevents+avro", `x`),
		"undecodable":                  structured(cloudEventsJSON, `{"data":"o1"}`),
	} {
		got, deadLetters, _ := foreign(t, []transport.Message{message})
		require.Empty(t, got.got, says)
		require.Len(t, deadLetters, 1, says)
		require.Equal(t, events.DeadLetterUndecodable, deadLetters[0].Reason)
		require.Contains(t, deadLetters[0].Error, says)
		require.Equal(t, message.Data, deadLetters[0].Data)
	}
}

// TestStructuredIsNotGuessed: a payload that looks like an envelope is an event like any other
// if its Content-Type does not say so.
func TestStructuredIsNotGuessed(t *testing.T) {
	t.Parallel()
	const payload = `{"specversion":"1.0","type":"x","source":"s","id":"1","orderId":"outer","data":{"orderId":"inner"}}`
	for _, header := range []transport.Header{nil, {"Content-Type": {"application/json"}}, {"Content-Type": {cloudEventsJSON, cloudEventsJSON}}} {
		got, _, _ := foreign(t, []transport.Message{{Header: header, Data: []byte(payload)}})
		require.Equal(t, []string{"outer"}, got.got)
	}
}

// TestCopies: what a publisher stores twice is handled once, and the skip is seen. Events that
// differ are handled, though their publisher gave them one ID.
func TestCopies(t *testing.T) {
	t.Parallel()
	event := func(kind, payload string) transport.Message {
		return transport.Message{Header: transport.Header{"ce-source": {"/node"}, "ce-id": {"1"}, "ce-type": {kind}}, Data: []byte(payload)}
	}
	var skips []observe.Observation
	got, deadLetters, log := foreign(t, []transport.Message{
		event("x", `{"orderId":"o1"}`), event("x", `{"orderId":"o1"}`), event("x", `{"orderId":"o2"}`), event("y", `{"orderId":"o1"}`),
		structured(cloudEventsJSON, `{"source":"/node","id":"2","type":"x","data":{"orderId":"o3"}}`),
		structured(cloudEventsJSON, `{"source":"/node","id":"2","type":"x","data":{"orderId":"o3"}}`),
	}, client.Observe(observe.Func(func(o observe.Observation) {
		if o.Kind == observe.Skipped {
			skips = append(skips, o)
		}
	})))
	require.Empty(t, deadLetters)
	require.Equal(t, []string{"o1", "o2", "o1", "o3"}, got.got)
	require.Len(t, skips, 2)
	for i, sequence := range []uint64{2, 6} {
		require.Equal(t, observe.SkipCopy, skips[i].Reason)
		require.Equal(t, sequence, skips[i].Sequence)
	}
	require.Contains(t, log, "level=DEBUG msg=\"event skipped: a copy with the same source, id, type and payload was handled before")
	require.Contains(t, log, "ce_id=1")
}

// TestTypeOfAnotherEvent: an event that says that it is of another type is not decoded as this
// one; a type that nobody here knows is its publisher's way to name this one.
func TestTypeOfAnotherEvent(t *testing.T) {
	t.Parallel()
	typed := func(kind string) transport.Message {
		return transport.Message{Header: transport.Header{"ce-type": {kind}}, Data: []byte(`{"orderId":"o1"}`)}
	}
	for kind, decoded := range map[string]bool{
		"expiration:complete": true, "com.example.expired": true, "order:created": false, "order%3Acreated": false, "": true,
	} {
		got, deadLetters, _ := foreign(t, []transport.Message{typed(kind)})
		if decoded {
			require.Equal(t, []string{"o1"}, got.got, kind)
			continue
		}
		require.Empty(t, got.got, kind)
		require.Len(t, deadLetters, 1)
		require.Contains(t, deadLetters[0].Error, `its ce-type is "order:created", which is another event than "expiration:complete"`)
	}
	got, deadLetters, _ := foreign(t, []transport.Message{
		structured(cloudEventsJSON, `{"type":"order:created","source":"s","id":"1","data":{"orderId":"o1"}}`),
	})
	require.Empty(t, got.got)
	require.Len(t, deadLetters, 1)
}
