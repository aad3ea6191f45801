package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
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

// tickets are events of the same size, no two of which have a text in common: one that
// comes again and again would flatter who remembers texts.
type tickets []ticket

// newTickets makes enough of them beforehand.
func newTickets(size int) tickets {
	all := make(tickets, 512)
	for i := range all {
		all[i] = newTicket(size, i)
	}
	return all
}

// at is the i-th event; beyond the last the first comes again.
func (t tickets) at(i int) ticket { return t[i%len(t)] }

// newTicket is an event whose payload has that many bytes.
func newTicket(size, number int) ticket {
	t := ticket{events.TicketCreated{
		ID: fmt.Sprintf("5f8a4c1e%04x", number&0xffff), Version: 3, Price: 49.9, UserID: fmt.Sprintf("6f8a4c1e%04x", number&0xffff),
	}}
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // it is a struct of texts and numbers
	}
	t.Title = strings.Repeat(fmt.Sprintf("Concert %04x, ", number&0xffff), size)[:max(1, size-len(data))]
	return t
}

// newSubject is one that nobody has used.
func newSubject() string { return "bench." + rand.Text() }

// sizes are those of the payloads.
var sizes = []struct {
	name  string
	bytes int
}{{"120 B", 120}, {"1 KiB", 1 << 10}, {"16 KiB", 16 << 10}}
