package main

import "context"

// inFlight is how many events are under way at a time, for all contestants: those
// published and not confirmed, those delivered and not acknowledged.
const inFlight = 1024

// contestant is a way to write a client.
type contestant struct {
	name string
	// slower: so many times fewer events are given to it, lest its rounds take long.
	slower int
	// connect opens a link whose subject is a new one.
	connect func(ctx context.Context, url string) (link, error)
}

// link is a contestant's connection, and one subject.
type link interface {
	// publish returns when the server has stored the event.
	publish(ctx context.Context, e ticket) error
	// pipeline publishes the events 0 to n-1, without waiting for each, and returns when
	// the server has stored all.
	pipeline(ctx context.Context, n int, event func(i int) ticket) error
	// receive handles the first n events of the subject, acknowledges each, and leaves
	// nothing of itself at the server.
	receive(ctx context.Context, r reception) error
	close()
}

// reception is how to receive.
type reception struct {
	n      int
	begin  func() // called before subscribing
	ready  func() // called once subscribed; nil: nobody asks
	handle func(ticket)
	done   func() // called when the last event was handled, by its handler
}

// received counts events and tells of the last.
type received struct {
	reception
	count int
	all   chan struct{}
}

func newReceived(r reception) *received {
	r.begin()
	return &received{reception: r, all: make(chan struct{})}
}

func (r *received) subscribed() {
	if r.ready != nil {
		r.ready()
	}
}

// event is called for one at a time. Where it reports that this is the last, finish is
// called once that is acknowledged.
func (r *received) event(e ticket) (last bool) {
	if r.count == r.n {
		return false // it was delivered twice
	}
	r.handle(e)
	r.count++
	if r.count == r.n {
		r.done()
	}
	return r.count == r.n
}

func (r *received) finish() { close(r.all) }
