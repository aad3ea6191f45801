package client

import (
	"context"
	"errors"
	"sync"
)

// components are those of one client that have not ended.
type components struct {
	mu     sync.Mutex
	open   map[*Component]struct{}
	closed bool
}

// add reports whether the client has not ended.
func (s *components) add(p *Component) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = make(map[*Component]struct{})
	}
	s.open[p] = struct{}{}
	return true
}

func (s *components) remove(p *Component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

func (s *components) all() []*Component {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Component, 0, len(s.open))
	for p := range s.open {
		all = append(all, p)
	}
	return all
}

// close ends all components, and lets no more be made.
func (s *components) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, p := range s.all() {
		p.Close()
	}
}

// healthy runs the checks of all components side by side, until ctx is done.
func (s *components) healthy(ctx context.Context) error {
	all := s.all()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { errs[i] = p.healthy(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
