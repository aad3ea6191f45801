package jsonbench

import (
	"sync"
	"testing"
)

// TestConcurrentUse uses each contestant from many goroutines at once, for the
// race detector: a codec is one value for a whole client.
func TestConcurrentUse(t *testing.T) {
	const goroutines, rounds = 8, 50
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			var group sync.WaitGroup
			for range goroutines {
				group.Go(func() {
					for i := range rounds {
						checkTicketRound(t, c, ticketShapes[i%2].events[i])
					}
				})
			}
			group.Wait()
		})
	}
}

func checkTicketRound(t *testing.T, c Contestant, event any) {
	t.Helper()
	data, err := c.Encode(event)
	if err != nil {
		t.Error(err)
		return
	}
	var got TicketCreated
	if err := c.Decode(data, &got); err != nil {
		t.Error(err)
		return
	}
	if want := *event.(*TicketCreated); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
