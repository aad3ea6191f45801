package jsonbench

import "testing"

// The names are key=value, so that benchstat can put the contestants into
// columns: benchstat -col /impl.

func BenchmarkEncode(b *testing.B) { benchBothForms(b, benchEncode) }

func BenchmarkAppend(b *testing.B) { benchBothForms(b, benchAppend) }

// benchBothForms runs bench for the tickets and for the order. The order has a
// time type of its own, which every contestant can write; bench_time_test.go
// has the other ways.
func benchBothForms(b *testing.B, bench func(*testing.B, Contestant, any)) {
	order := benchOrder(JSTime{benchTime})
	for _, c := range benchContestants() {
		for _, ticket := range benchTickets {
			b.Run("event="+ticket.name+"/impl="+c.Name, func(b *testing.B) { bench(b, c, &ticket.event) })
		}
		b.Run("event=order/impl="+c.Name, func(b *testing.B) { bench(b, c, &order) })
	}
}

func BenchmarkDecode(b *testing.B) {
	order := benchOrder(JSTime{benchTime})
	for _, c := range benchContestants() {
		for _, ticket := range benchTickets {
			b.Run("event="+ticket.name+"/impl="+c.Name, func(b *testing.B) {
				benchDecode[TicketCreated](b, c, wireBytes(b, &ticket.event))
			})
		}
		b.Run("event=order/impl="+c.Name, func(b *testing.B) {
			benchDecode[OrderCreatedJS](b, c, wireBytes(b, &order))
		})
		b.Run("event=order-time.Time/impl="+c.Name, func(b *testing.B) {
			benchDecode[OrderCreated](b, c, wireBytes(b, &order))
		})
	}
}
