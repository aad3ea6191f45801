package session

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/transport"
)

// Publish stores a message, or says why not by the time ctx is done: the error matches
// transport.ErrNotStored or transport.ErrOutcomeUnknown. What the broker can't take, an
// ID or headers, is left out. m.Data is the caller's again when Publish returns; m.Header
// is not.
func (s *Session) Publish(ctx context.Context, m transport.Message) error {
	features := s.Conn.Features()
	if !features.Deduplicate {
		m.ID = ""
	}
	if !features.Headers {
		m.Header = nil
	}
	if err := s.Window.Enter(ctx, nil); err != nil {
		return fmt.Errorf("%w: no place in the window of publishes in flight: %w", transport.ErrNotStored, err)
	}
	defer s.Window.Leave()
	outcome := make(chan error, 1)
	ticket := s.Conn.Publish(m, transport.ReceiptFunc(func(err error) { outcome <- err }))
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		s.Conn.Abandon(ticket)
		return <-outcome
	}
}
