package stan

import (
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// publishLink sends publishes to the streaming server and receives its answers, in place of
// stan.go. stan.go keeps a timer, a function and an entry in a map for each publish. Here
// the outbox keeps the publishes and the publisher the deadlines, so that each publish costs
// one message of the protocol each way.
type publishLink struct {
	nc       *nats.Conn
	client   string
	id       []byte // of the connection, as stan.go has told the server
	prefix   string // of the NATS subjects that the server listens on
	answers  string // the NATS subject of its answers
	subjects map[string]string
	buffer   []byte
}

// newPublishLink listens for answers. It calls answered with each: to which publish and which
// attempt, and what the server says.
func newPublishLink(nc *nats.Conn, sc stan.Conn, client string, answered func(transport.Ticket, outbox.Attempt, error)) (*publishLink, error) {
	prefix, id, err := addressOf(sc)
	if err != nil {
		return nil, err
	}
	p := &publishLink{
		nc: nc, client: client, id: id, prefix: prefix,
		answers:  stan.DefaultACKPrefix + "." + rand.Text(),
		subjects: make(map[string]string),
	}
	sub, err := nc.Subscribe(p.answers, func(m *nats.Msg) {
		if a, ok := readAnswer(m.Data); ok {
			answered(a.ticket, a.attempt, a.err)
		}
	})
	if err != nil {
		return nil, err
	}
	// What waits is bounded by the window of publishes in flight.
	return p, sub.SetPendingLimits(-1, -1)
}

// publish sends data, which it copies. One publish is sent at a time.
func (p *publishLink) publish(subject string, data []byte, t transport.Ticket, a outbox.Attempt) error {
	to, ok := p.subjects[subject]
	if !ok {
		to = p.prefix + "." + subject
		p.subjects[subject] = to
	}
	m := pb.PubMsg{ClientID: p.client, Guid: mark(t, a), Subject: subject, Data: data, ConnID: p.id}
	size := m.Size()
	p.buffer = slices.Grow(p.buffer[:0], size)[:size]
	if _, err := m.MarshalToSizedBuffer(p.buffer); err != nil {
		return err
	}
	err := p.nc.PublishRequest(to, p.answers, p.buffer)
	if cap(p.buffer) > largestKeptBuffer {
		p.buffer = nil
	}
	return err
}

// largestKeptBuffer is the size of the largest buffer that is kept for the next publish:
// larger ones are seldom needed.
const largestKeptBuffer = 64 << 10

// mark identifies an attempt. The server repeats it in its answer, which only this connection
// receives.
func mark(t transport.Ticket, a outbox.Attempt) string {
	var room [32]byte
	b := strconv.AppendUint(room[:0], uint64(t), 36)
	b = append(b, '.')
	return string(strconv.AppendUint(b, uint64(a), 36))
}

// answer is what the server says to a publish.
type answer struct {
	ticket  transport.Ticket
	attempt outbox.Attempt
	err     error // nil: it is stored
}

// readAnswer reads an answer. ok is false if data is none: "no responders" has no mark.
func readAnswer(data []byte) (a answer, ok bool) {
	var ack pb.PubAck
	if err := ack.Unmarshal(data); err != nil {
		return a, false
	}
	first, second, _ := strings.Cut(ack.Guid, ".")
	ticket, err := strconv.ParseUint(first, 36, 64)
	if err != nil {
		return a, false
	}
	attempt, err := strconv.ParseUint(second, 36, 32)
	if err != nil {
		return a, false
	}
	a.ticket, a.attempt = transport.Ticket(ticket), outbox.Attempt(attempt)
	if ack.Error != "" {
		a.err = errors.New(ack.Error)
	}
	return a, true
}

// addressOf reads unexported fields of stan.go's connection: where the server listens for
// publishes, and the ID by which the server knows the connection.
func addressOf(sc stan.Conn) (prefix string, id []byte, err error) {
	c := reflect.Indirect(reflect.ValueOf(sc))
	if c.Kind() == reflect.Struct {
		p, i := c.FieldByName("pubPrefix"), c.FieldByName("connID")
		if p.Kind() == reflect.String && i.Kind() == reflect.Slice && p.Len() > 0 {
			return p.String(), slices.Clone(i.Bytes()), nil
		}
	}
	return "", nil, fmt.Errorf("publishing through %T: %w: only stan.go v0.10.4 is known", sc, transport.ErrUnsupported)
}
