package client

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/transport"
)

// monitor is told what happens to one connection, logs it, and hands it to the
// watchers. It waits for none of them.
type monitor struct {
	log *slog.Logger

	mu        sync.Mutex
	condition condition
	watchers  map[*watcher]struct{}
}

func newMonitor(log *slog.Logger, clientID string) *monitor {
	return &monitor{
		log:       log.With(slog.String("client", clientID)),
		condition: condition{status: Status{State: Connected, Since: time.Now()}},
		watchers:  make(map[*watcher]struct{}),
	}
}

// begin says that the attempt to connect that the monitor was made for has succeeded.
func (m *monitor) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.condition.status.State == Connected {
		m.condition.status.Since = time.Now()
	}
}

// notify takes in an event; see transport.Config.
func (m *monitor) notify(e transport.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if m.tell(e) {
		eventlog.Write(m.log, e) // outside the lock: a log may be slow
	}
}

// end makes err the end, unless it has come before.
func (m *monitor) end(err error) { m.notify(ending(err)) }

// tell hands an event that is news to the watchers.
func (m *monitor) tell(e transport.Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.condition.apply(e) {
		return false
	}
	for w := range m.watchers {
		w.offer(e)
	}
	if e.Kind == transport.Closed {
		m.watchers = nil
	}
	return true
}

func (m *monitor) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.condition.status
	s.Reasons = slices.Clone(s.Reasons)
	return s
}

// enter makes w a watcher of what comes from now on.
func (m *monitor) enter(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers == nil {
		w.end()
		return
	}
	m.watchers[w] = struct{}{}
}

// leave makes it none, and ends it.
func (m *monitor) leave(w *watcher) {
	m.mu.Lock()
	delete(m.watchers, w)
	m.mu.Unlock()
	w.end()
}
