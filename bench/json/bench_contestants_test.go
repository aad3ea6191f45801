package jsonbench

import "testing"

// The benchmarks' names are key=value, so that benchstat can put the contestants
// into columns: benchstat -col /impl.

// benchContestants are all of them, and those that need a guard behind it as
// well: what a codec would really pay.
func benchContestants() []Contestant {
	contestants := All()
	for _, c := range []Contestant{Std(), Goccy(), Sonic()} {
		guarded := Guarded(c)
		guarded.Name += "-guarded"
		contestants = append(contestants, guarded)
	}
	return contestants
}

func BenchmarkEncode(b *testing.B) { benchForms(b, benchEncode) }

func BenchmarkAppend(b *testing.B) { benchForms(b, benchAppend) }

// benchForms runs bench for the tickets and for the order. The order has a time
// type of its own, which every contestant can write; time_ways_test.go has the
// other ways.
func benchForms(b *testing.B, bench func(*testing.B, Contestant, benchShape)) {
	b.Helper()
	shapes := append([]benchShape{orderShape(asJSTime)}, ticketShapes...)
	for _, c := range benchContestants() {
		for _, shape := range shapes {
			b.Run("event="+shape.name+"/impl="+c.Name, func(b *testing.B) { bench(b, c, shape) })
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	orders := orderShape(asJSTime).payloads(b)
	for _, c := range benchContestants() {
		for _, shape := range ticketShapes {
			b.Run("event="+shape.name+"/impl="+c.Name, func(b *testing.B) {
				benchDecode[TicketCreated](b, c, shape.payloads(b))
			})
		}
		b.Run("event=order/impl="+c.Name, func(b *testing.B) {
			benchDecode[OrderCreatedJS](b, c, orders)
		})
		b.Run("event=order-time.Time/impl="+c.Name, func(b *testing.B) {
			benchDecode[OrderCreated](b, c, orders)
		})
	}
}
