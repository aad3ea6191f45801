package jsonbench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Sentences that titles are made of: mostly ASCII, some of it not, as organisers
// write them. The second kind has quotes and line breaks, which are escaped.
const (
	plainSentence   = "Beyoncé at Letzigrund Zürich, Block C, row 12 – doors open at 18:30, bring an ID & this ticket. "
	escapedSentence = "Beyoncé \"Renaissance\" at Letzigrund Zürich, Block C, row 12 – doors 18:30.\nBring an ID & this ticket. "
)

// A benchShape is a set of events of one kind, as pointers. They differ in their
// IDs, and a benchmark goes through them in turn: go-json-experiment remembers
// short strings that it has seen lately, so that decoding one payload over and
// over would show no allocation that real events do cost.
type benchShape struct {
	name   string
	events []any
}

// ticketShapes are ticket-created events by the size of their JSON, about 256
// KiB of each.
var ticketShapes = []benchShape{
	ticketShape("ticket-120B", 120, plainSentence),
	ticketShape("ticket-1KiB", 1<<10, plainSentence),
	ticketShape("ticket-16KiB", 16<<10, plainSentence),
	ticketShape("ticket-16KiB-escapes", 16<<10, escapedSentence),
}

func ticketShape(name string, size int, sentence string) benchShape {
	random := newRandom()
	shape := benchShape{name: name}
	for range (256 << 10) / size {
		ticket := ticketOf(random, size, sentence)
		shape.events = append(shape.events, &ticket)
	}
	return shape
}

// ticketOf makes a ticket of about size bytes of JSON by growing its title.
func ticketOf(random *rand.Rand, size int, sentence string) TicketCreated {
	ticket := TicketCreated{
		ID:      objectID(random),
		Version: random.Int64N(10),
		Price:   129.5,
		UserID:  objectID(random),
	}
	bare, err := ExperimentCodec().Encode(&ticket)
	if err != nil {
		panic(err)
	}
	text := strings.Repeat(sentence, size/len(sentence)+2)
	from := random.IntN(len(sentence))
	// A cut may go through a character.
	ticket.Title = strings.ToValidUTF8(text[from:from+size-len(bare)], "")
	return ticket
}

// orderShape is as many order-created events, with the time type of the caller.
func orderShape[Time any](newTime func(time.Time) Time) benchShape {
	random := newRandom()
	shape := benchShape{name: "order"}
	for range 1024 {
		at := time.Date(2026, 11, 25, 6, 50, 25, 380000000, time.UTC).Add(time.Duration(random.IntN(1e6)) * time.Second)
		shape.events = append(shape.events, &Order[Time]{
			ID:        objectID(random),
			Version:   random.Int64N(10),
			Status:    "awaiting:payment",
			UserID:    objectID(random),
			ExpiresAt: newTime(at),
			Ticket:    OrderTicket{ID: objectID(random), Price: 129.5},
		})
	}
	return shape
}

func asTime(t time.Time) time.Time { return t }

func asJSTime(t time.Time) JSTime { return JSTime{t} }

// newRandom always starts alike, so that every contestant gets the same events.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// objectID looks like the IDs that the Node services' database makes.
func objectID(random *rand.Rand) string {
	return fmt.Sprintf("%08x%016x", random.Uint32(), random.Uint64())
}

// payloads are the events as the wire has them.
func (s benchShape) payloads(b *testing.B) [][]byte {
	b.Helper()
	var all [][]byte
	for _, event := range s.events {
		data, err := ExperimentCodec().Encode(event)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}
