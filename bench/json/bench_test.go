package jsonbench

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// Sentences that titles are made of: mostly ASCII, some of it not, as organisers
// write them. The second kind has quotes and line breaks, which are escaped.
const (
	plainSentence   = "Beyoncé at Letzigrund Zürich, Block C, row 12 – doors open at 18:30, bring an ID & this ticket. "
	escapedSentence = "Beyoncé \"Renaissance\" at Letzigrund Zürich, Block C, row 12 – doors 18:30.\nBring an ID & this ticket. "
)

// benchTickets are ticket-created events by the size of their JSON.
var benchTickets = []struct {
	name  string
	event TicketCreated
}{
	{"ticket-120B", ticketOf(120, plainSentence)},
	{"ticket-1KiB", ticketOf(1<<10, plainSentence)},
	{"ticket-16KiB", ticketOf(16<<10, plainSentence)},
	{"ticket-16KiB-escapes", ticketOf(16<<10, escapedSentence)},
}

// ticketOf makes a ticket of about size bytes of JSON by growing its title.
func ticketOf(size int, sentence string) TicketCreated {
	ticket := TicketCreated{
		ID:      "6380b5c1e4b0f3a2d1c09e77",
		Version: 3,
		Price:   129.5,
		UserID:  "637fa10be4b0f3a2d1c0014c",
	}
	bare, err := ExperimentCodec().Encode(&ticket)
	if err != nil {
		panic(err)
	}
	ticket.Title = strings.Repeat(sentence, size/len(sentence)+1)[:size-len(bare)]
	ticket.Title = strings.ToValidUTF8(ticket.Title, "") // cut within a character, perhaps
	return ticket
}

var benchTime = time.Date(2026, 11, 25, 6, 50, 25, 380e6, time.UTC)

// benchOrder is an order-created event with the time type of the caller.
func benchOrder[T any](at T) Order[T] {
	return Order[T]{
		ID:        "6380b5c1e4b0f3a2d1c09e77",
		Version:   3,
		Status:    "awaiting:payment",
		UserID:    "637fa10be4b0f3a2d1c0014c",
		ExpiresAt: at,
		Ticket:    OrderTicket{ID: "6380b5c1e4b0f3a2d1c09f02", Price: 129.5},
	}
}

// benchContestants are all of them, and those whose rules depend on a guard
// behind it as well: what a codec would really pay.
func benchContestants() []Contestant {
	contestants := All()
	for _, c := range []Contestant{Std(), Goccy(), Sonic()} {
		guarded := Guarded(c)
		guarded.Name += "-guarded"
		contestants = append(contestants, guarded)
	}
	return contestants
}

// benchEncode measures Encode of event, a pointer.
func benchEncode(b *testing.B, c Contestant, event any) {
	b.Helper()
	out, err := c.Encode(event)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		if _, err := c.Encode(event); err != nil {
			b.Fatal(err)
		}
	}
}

// benchAppend measures Append of event, a pointer, into a reused buffer.
func benchAppend(b *testing.B, c Contestant, event any) {
	b.Helper()
	buf, err := c.Append(nil, event)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if buf, err = c.Append(buf[:0], event); err != nil {
			b.Fatal(err)
		}
	}
}

// benchDecode measures Decode into a zeroed T from a pool, as a listener does.
func benchDecode[T any](b *testing.B, c Contestant, data []byte) {
	b.Helper()
	pool := sync.Pool{New: func() any { return new(T) }}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		event := pool.Get().(*T)
		var zero T
		*event = zero
		if err := c.Decode(data, event); err != nil {
			b.Fatal(err)
		}
		pool.Put(event)
	}
}

// wireBytes is event as the wire has it.
func wireBytes(b *testing.B, event any) []byte {
	b.Helper()
	data, err := ExperimentCodec().Encode(event)
	if err != nil {
		b.Fatal(err)
	}
	return data
}
