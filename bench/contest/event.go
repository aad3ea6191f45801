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
// good, and publishers refuse an event of another one; here each contestant needs one of
// its own, and sets it before it publishes or listens.
var current atomic.Pointer[subjects.Subject]

// Subject implements events.Event. Publishers and listeners ask for it when they are
// made.
func (ticket) Subject() subjects.Subject {
	return *current.Load()
}

// tickets are events of the same size, no two of which have a text in common: one that
// comes again and again would flatter who remembers texts.
type tickets []ticket

// newTickets makes enough of them beforehand, whose payloads have that many bytes. Their
// titles are parts of one text: what is held while others are measured makes the garbage
// collector run less often.
func newTickets(size int) tickets {
	const step = len("Concert 0000, ")
	all := make(tickets, 2048)
	var b strings.Builder
	for i := 0; b.Len() < step*len(all)+size; i++ {
		fmt.Fprintf(&b, "Concert %04x, ", i)
	}
	titles := b.String()
	for i := range all {
		t := ticket{events.TicketCreated{
			ID: fmt.Sprintf("5f8a4c1e%04x", i), Version: 3, Price: 49.9, UserID: fmt.Sprintf("6f8a4c1e%04x", i),
		}}
		data, err := json.Marshal(t)
		if err != nil {
			panic(err) // it is a struct of texts and numbers
		}
		t.Title = titles[step*i:][:size-len(data)]
		all[i] = t
	}
	return all
}

// at is the i-th event; beyond the last the first comes again.
func (t tickets) at(i int) ticket { return t[i%len(t)] }

// newSubject is one that nobody has used.
func newSubject() string { return "bench." + rand.Text() }

// sizes are those of the payloads.
var sizes = []struct {
	name  string
	bytes int
}{{"120 B", 120}, {"1 KiB", 1 << 10}, {"16 KiB", 16 << 10}}
