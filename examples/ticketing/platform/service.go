package platform

import (
	"context"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// Service is one of the four. It is its state; what works on it are its members.
type Service interface {
	// Name is that of the service and of its queue group.
	Name() string

	parts() []part
}

// Drain is how long the handlers of a member that ends may take. Kubernetes kills a pod
// 30 s after its SIGTERM, and closing the client takes up to 10 s (client.CloseTimeout).
const Drain = 15 * time.Second

// Member is what does the work of a service. In real life it is a process, or a
// pod.
type Member struct {
	Service Service
	Name    string // such as tickets-1
	Client  *client.Client
	Journal Journal
}

// Listen handles and publishes the events of the service, with whatever other
// members there are, until ctx is done. It makes a Member a [client.Runner].
func (m Member) Listen(ctx context.Context) error {
	var runners []client.Runner
	for _, p := range m.Service.parts() {
		r, err := p.open(m)
		if err != nil {
			return err
		}
		runners = append(runners, r)
	}
	return listener.Run(ctx, runners...)
}

// part is something that each member of a service does: a handler of one type of
// event, or an outbox to be emptied.
type part interface {
	open(m Member) (client.Runner, error)
}

// handler handles the events of one type.
type handler[T events.Event] struct {
	handle  func(event T) error
	options []listener.Option
}

// on makes a part of a method that handles events, whose type it finds out.
func on[T events.Event](handle func(event T) error, opts ...listener.Option) handler[T] {
	return handler[T]{handle, append(opts, listener.DrainTimeout(Drain))}
}

func (h handler[T]) open(m Member) (client.Runner, error) { //nolint:ireturn // implements part
	return listener.New(m.Client, m.Service.Name(), func(_ context.Context, event T, d listener.Delivery) error {
		if err := h.handle(event); err != nil {
			return err // it comes again
		}
		m.Journal.Handled(m, event, d)
		return nil
	}, h.options...)
}
