package main

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"sync/atomic"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
)

// ticket is the event of the contest.
type ticket struct{ events.TicketCreated }

// current is the subject that a ticket has at the moment. Types have one subject for
// good; here each contestant needs one of its own.
var current atomic.Value

// Subject implements events.Event. Publishers and listeners ask for it when they are
// made.
func (ticket) Subject() subjects.Subject {
	s, _ := current.Load().(subjects.Subject)
	return s
}

// newTicket is an event whose payload has that many bytes.
func newTicket(size int) ticket {
	t := ticket{events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Price: 49.9, UserID: "5f8a4c1e9b3e"}}
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // it is a struct of texts and numbers
	}
	t.Title = strings.Repeat("A concert, ", size)[:max(1, size-len(data))]
	return t
}

// newSubject is one that nobody has used.
func newSubject() string { return "bench." + rand.Text() }

// sizes are those of the payloads.
var sizes = []struct {
	name  string
	bytes int
}{{"120 B", 120}, {"1 KiB", 1 << 10}, {"16 KiB", 16 << 10}}
