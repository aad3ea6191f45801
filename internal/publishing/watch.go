package publishing

import (
	"maps"

	"github.com/sgtickets/common/internal/observing"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// watch tells observers of one publish. A nil watch does nothing: where there are no
// observers, nothing is allocated.
type watch struct {
	sender      *Sender
	observation observe.Observation
}

// watch returns the watch of a publish of m, as the caller gave it.
func (s *Sender) watch(m *transport.Message) *watch {
	if len(s.Observers) == 0 {
		return nil
	}
	w := &watch{sender: s, observation: observe.Observation{
		Subject: subjects.Subject(m.Subject), MessageID: m.ID, Bytes: len(m.Data),
	}}
	if s.features.Headers {
		w.observation.Header = maps.Clone(m.Header) // the connection adds to m.Header
	}
	return w
}

// sent tells that the message is about to be handed to the connection, whose outcome may
// come at once.
func (w *watch) sent() { w.tell(observe.Sent, nil) }

// decided tells the outcome.
func (w *watch) decided(err error) { w.tell(observe.Decided, err) }

func (w *watch) tell(kind observe.Kind, err error) {
	if w == nil {
		return
	}
	o := w.observation
	o.Kind, o.Err = kind, err
	observing.Tell(w.sender.Log, w.sender.Observers, o)
}
