package fakeconn

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// Settled is the settler of a delivery. It records what the receiver did.
type Settled struct {
	mu       sync.Mutex
	acks     int
	naks     int
	releases int
	err      error         // returned by Ack
	slow     time.Duration // that Ack takes
}

// Fail makes Ack fail with err, until Fail is called with nil.
func (s *Settled) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// SlowDown makes each Ack take that long.
func (s *Settled) SlowDown(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = d
}

// Ack implements transport.Settler.
func (s *Settled) Ack() error {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow > 0 {
		<-time.After(slow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.acks++
	return nil
}

// Nak implements transport.Settler.
func (s *Settled) Nak(time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.naks++
	return nil
}

// InProgress implements transport.Settler.
func (s *Settled) InProgress() error { return transport.ErrUnsupported }

// Term implements transport.Settler.
func (s *Settled) Term(string) error { return transport.ErrUnsupported }

// Release implements transport.Settler.
func (s *Settled) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases++
}

// Released returns how often the delivery was released.
func (s *Settled) Released() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.releases
}

// Acks returns how often the delivery was acknowledged.
func (s *Settled) Acks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks
}

// Naks returns how often the delivery was given back.
func (s *Settled) Naks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.naks
}
