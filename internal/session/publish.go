package session

import (
	"context"
	"slices"

	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// NewSender returns a sender on the session's connection and in its window. c adds what is
// its own; its observers are told after the session's.
func (s *Session) NewSender(c publishing.Config) *publishing.Sender {
	c.Conn, c.Window, c.Log = s.Conn, s.Window, s.Log
	c.Observers = slices.Concat(s.Observers, c.Observers)
	return publishing.NewSender(c)
}

// Sender returns the sender of dead letters and of the events that Redrive puts back. It
// has no timeout: contexts alone bound its publishes.
func (s *Session) Sender() *publishing.Sender { return s.sender() }

// Publish returns nil when the server has stored m, or says why not by the time ctx is
// done: the error matches transport.ErrNotStored or transport.ErrOutcomeUnknown. An ID or a
// header that the broker can't carry is left out. The caller may reuse m.Data after Publish
// returns, but not m.Header.
func (s *Session) Publish(ctx context.Context, m transport.Message) error {
	return s.Sender().Publish(ctx, m)
}
