package client

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/eventlog"
	"github.com/sgtickets/common/transport"
)

// monitor takes in what happens to one connection: it keeps the status, writes the log and
// hands each event to the watchers. It waits for none of them.
type monitor struct {
	log *slog.Logger

	mu        sync.Mutex
	condition condition
	watchers  map[*watcher]struct{} // nil: the connection has ended
}

func newMonitor(log *slog.Logger, clientID string) *monitor {
	return &monitor{
		log:       log.With(slog.String("client", clientID)),
		condition: condition{status: Status{State: Connected, Since: time.Now()}},
		watchers:  make(map[*watcher]struct{}),
	}
}

// begin records that the attempt to connect has succeeded. Each attempt has a monitor of its own.
func (m *monitor) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.condition.status.State == Connected {
		m.condition.status.Since = time.Now()
	}
}

// notify takes in an event of the transport; see transport.Config.
func (m *monitor) notify(e transport.Event) { m.record(e)() }

// record takes in an event: it updates the status, and hands an event that is news to the
// watchers. log writes the event to the log if it is news: it is called without locks, since
// a log may be slow, or call back. log is never nil.
func (m *monitor) record(e transport.Event) (log func()) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if !m.apply(e) {
		return func() {}
	}
	return func() { eventlog.Write(m.log, e) }
}

// end makes err the end of the connection, unless it has ended before.
func (m *monitor) end(err error) { m.notify(closedEvent(err)) }

// apply updates the status, and hands an event that is news to the watchers. It reports
// whether the event is news.
func (m *monitor) apply(e transport.Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.condition.apply(e) {
		return false
	}
	for w := range m.watchers {
		w.offer(eventOf(e))
	}
	if e.Kind == transport.Closed {
		m.watchers = nil
	}
	return true
}

// announce hands an event that leaves the status as it is to the watchers. After the end it
// does nothing.
func (m *monitor) announce(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.watchers {
		w.offer(e)
	}
}

func (m *monitor) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.condition.status
	s.Reasons = slices.Clone(s.Reasons)
	return s
}

// addWatcher hands w all events from now on.
func (m *monitor) addWatcher(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers == nil {
		w.end()
		return
	}
	m.watchers[w] = struct{}{}
}

// removeWatcher ends w.
func (m *monitor) removeWatcher(w *watcher) {
	m.mu.Lock()
	delete(m.watchers, w)
	m.mu.Unlock()
	w.end()
}
