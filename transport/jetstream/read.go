package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// errNoMessageFound is JetStream's answer that the stream has no such message.
const errNoMessageFound js.ErrorCode = 10037

// storedMessage is the answer to a request for one message; see JSApiMsgGetResponse in
// nats-server.
type storedMessage struct {
	Error   *js.APIError `json:"error"`
	Message struct {
		Subject  string    `json:"subject"`
		Sequence uint64    `json:"seq"`
		Header   []byte    `json:"hdrs"`
		Data     []byte    `json:"data"`
		Time     time.Time `json:"time"`
	} `json:"message"`
}

// ReadMessage implements [transport.MessageReader], for a client with option BindOnly, which
// makes no consumer to read one message. The stream's leader answers: nats.go would ask any of
// its servers where the stream allows that, and they may not have the newest message yet.
func (c *conn) ReadMessage(ctx context.Context, subject string, from transport.Position) (d transport.Delivery, found bool, err error) {
	asked := make(map[string]any, 2)
	switch from.Kind() {
	case transport.StartLastReceived:
		asked["last_by_subj"] = subject
	case transport.StartSequence:
		asked["seq"], asked["next_by_subj"] = from.Sequence(), subject
	default:
		return d, false, fmt.Errorf("%w: one message is read at a sequence, or the last one", transport.ErrUnsupported)
	}
	if !c.options.bindOnly {
		return d, false, fmt.Errorf("%w: without option BindOnly a subscription reads", transport.ErrUnsupported)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return d, false, err
	}
	name := "STREAM.MSG.GET." + c.cfg.ClusterID
	answer, err := requestUnlessForbidden(ctx, c, name, func(ctx context.Context) (m storedMessage, err error) {
		reply, err := c.nc.RequestWithContext(ctx, c.prefix+name, body)
		if err != nil {
			return m, err
		}
		if err := json.Unmarshal(reply.Data, &m); err != nil {
			return m, fmt.Errorf("the answer to a request for a message can't be read: %w: %w", js.ErrInvalidJetStreamResponse, err)
		}
		if m.Error != nil && m.Error.ErrorCode != errNoMessageFound {
			return m, m.Error
		}
		return m, nil
	})
	if err != nil {
		return d, false, c.explain(err)
	}
	if answer.Error != nil { // there is none
		return d, false, nil //nolint:nilerr // it is an answer
	}
	m := answer.Message
	d = transport.Delivery{Subject: m.Subject, Sequence: m.Sequence, Timestamp: m.Time, Data: m.Data}
	if len(m.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return d, false, fmt.Errorf("the header of message %d can't be read: %w", m.Sequence, err)
		}
		d.Header = transport.Header(header)
	}
	return d, true, nil
}
