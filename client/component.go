package client

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/observing"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Component is a part of a service beside its publishers and listeners, such as an outbox
// or an inbox, that reports through the client: in [Client.Status], [Client.Healthy],
// [Client.Watch] and to the client's observers. [Client.Component] makes one. All its
// methods are safe for concurrent use. It ends with Close, or with the client.
type Component struct {
	client *Client
	name   string

	mu      sync.Mutex
	reasons map[string]struct{} // as they stand in Status
	check   func(context.Context) error
	closed  bool
}

// Component returns a component of that name, which stands in all that it reports. Several
// components may have the same name: each is one by itself. The caller closes it when the
// part that it stands for ends. The error matches [ErrInvalid] if the name is empty, and
// [ErrClosed] or [ErrConnectionLost] once the client is over.
func (c *Client) Component(name string) (*Component, error) {
	if !c.made() {
		return nil, fmt.Errorf("component %q: %w", name, errNotMade)
	}
	if name == "" {
		return nil, fmt.Errorf("component of client %q: %w name: it is empty", c.clientID, transport.ErrInvalid)
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("component %q of client %q: %w", name, c.clientID, err)
	}
	p := &Component{client: c, name: name, reasons: make(map[string]struct{})}
	if !c.components.add(p) {
		return nil, fmt.Errorf("component %q of client %q: %w", name, c.clientID, transport.ErrClosed)
	}
	return p, nil
}

// Name returns the component's name.
func (p *Component) Name() string {
	if !p.made() {
		return ""
	}
	return p.name
}

// errNoComponent is the error of each call on a component that Client.Component did not make.
var errNoComponent = fmt.Errorf("%w component: nil; make one with Client.Component", transport.ErrInvalid)

func (p *Component) made() bool { return p != nil && p.client != nil }

// Degrade makes the client [Degraded] until Recover is called with the same reason. reason
// says in words what does not work, and how to get out; it stands in the status behind the
// component's name. err says why, and may be nil; calling Degrade again renews it. The
// error matches [ErrInvalid] if reason is empty, and [ErrClosed] once the component has
// ended.
func (p *Component) Degrade(reason string, err error) error {
	if !p.made() {
		return errNoComponent
	}
	if reason == "" {
		return fmt.Errorf("component %q: %w reason: it is empty", p.name, transport.ErrInvalid)
	}
	log, ended := p.recordDegraded(p.reasonText(reason), err)
	if ended != nil {
		return ended
	}
	log() // outside the lock: the log may call the component
	return nil
}

func (p *Component) recordDegraded(text string, err error) (log func(), ended error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, p.errClosed()
	}
	p.reasons[text] = struct{}{}
	return p.client.session.RecordDegraded(p, text, err), nil
}

// Recover takes back what Degrade said with that reason. It does nothing if that was not
// said, or was taken back before.
func (p *Component) Recover(reason string) {
	if !p.made() {
		return
	}
	if log := p.recordRecovered(p.reasonText(reason)); log != nil {
		log() // outside the lock: the log may call the component
	}
}

// recordRecovered returns nil if there was nothing to take back.
func (p *Component) recordRecovered(text string) (log func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, given := p.reasons[text]; !given {
		return nil
	}
	delete(p.reasons, text)
	return p.client.session.RecordRecovered(p, text)
}

// Check makes [Client.Healthy] call check, and fail with its error, when the broker has
// answered. check is called by many goroutines at a time and must end with its context:
// Healthy does not wait longer. A panic of check is an error. The latest check counts. The
// error matches [ErrInvalid] if check is nil, and [ErrClosed] once the component has ended.
func (p *Component) Check(check func(ctx context.Context) error) error {
	if !p.made() {
		return errNoComponent
	}
	if check == nil {
		return fmt.Errorf("component %q: %w check: nil", p.name, transport.ErrInvalid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.errClosed()
	}
	p.check = check
	return nil
}

// Tell hands text, and err unless it is nil, to all who watch the client, as an event of
// the kind [EventComponent], and logs it: as a warning if err is not nil. The error matches
// [ErrInvalid] if text is empty, and [ErrClosed] once the component has ended.
func (p *Component) Tell(text string, err error) error {
	if !p.made() {
		return errNoComponent
	}
	if text == "" {
		return fmt.Errorf("component %q: %w text: it is empty", p.name, transport.ErrInvalid)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return p.errClosed()
	}
	p.client.monitor.announce(Event{Kind: EventComponent, Time: time.Now(), Err: err, Component: p.name, Text: text})
	p.mu.Unlock()
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("component", p.name), slog.String("text", text)}
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, slog.Any("error", err))
	}
	p.client.monitor.log.LogAttrs(context.Background(), level, "a component of the client tells something", attrs...)
	return nil
}

// Observes reports whether the client has observers, so that who calls Observe need not
// prepare an observation for nobody.
func (p *Component) Observes() bool { return p.made() && len(p.client.session.Observers) > 0 }

// Observe hands o to the observers of the client, those of option [Observe], on the calling
// goroutine. Once the component has ended it does nothing.
func (p *Component) Observe(o observe.Observation) {
	if !p.Observes() || p.isClosed() {
		return
	}
	observing.Tell(p.client.monitor.log, p.client.session.Observers, o)
}

// Close takes back all that the component has reported: what Degrade said, and the check.
// Closing again does nothing.
func (p *Component) Close() {
	if !p.made() {
		return
	}
	p.client.components.remove(p)
	for _, log := range p.recordClosed() {
		log() // outside the lock: the log may call the component
	}
}

func (p *Component) recordClosed() (logs []func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.check = true, nil
	for text := range p.reasons {
		logs = append(logs, p.client.session.RecordWithdrawn(p, text))
	}
	clear(p.reasons)
	return logs
}

func (p *Component) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *Component) reasonText(reason string) string { return p.name + ": " + reason }

func (p *Component) errClosed() error {
	return fmt.Errorf("component %q: %w", p.name, transport.ErrClosed)
}

// healthy runs the check, if there is one.
func (p *Component) healthy(ctx context.Context) error {
	p.mu.Lock()
	check := p.check
	p.mu.Unlock()
	if check == nil {
		return nil
	}
	err := await.WithGrace(ctx, func(ctx context.Context) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("its check panicked: %v", v)
			}
		}()
		return check(ctx)
	})
	if err != nil {
		return fmt.Errorf("component %q: %w", p.name, err)
	}
	return nil
}
