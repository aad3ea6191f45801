package natsconn

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// A Need is something that a transport does all the time, and has to be permitted. Single
// publishes and requests are not among them: their errors say that they are forbidden.
type Need interface {
	comparable
	// Subscribes reports whether the permission is one to subscribe.
	Subscribes() bool
	// Grant returns the pattern of subjects that the user needs permission for, where the
	// server has refused that one.
	Grant(subject string) string
	// Effect says what does not work without the permission.
	Effect() string
}

// Missing is what is known of permissions that a connection needs and lacks. It decides what
// the owner is told: once that one is missing, and once that it is there again. It has no lock
// and no goroutine. The zero value is ready.
type Missing[N Need] struct {
	lacks map[N]*lack
	tell  []transport.Event
}

// TryAgain is how often permissions that are missing are tried again.
const TryAgain = 2 * time.Second

// lack is a permission that is missing.
type lack struct {
	reason  string // as the owner was told; empty: the owner was not told
	err     error  // names the permission
	last    Violation
	epoch   uint64 // of the connection then
	refused int    // how often the server has refused it
}

// Note says that the server has refused what is needed. A connection has another epoch after
// each reconnect. Show tells the owner.
func (m *Missing[N]) Note(n N, v Violation, epoch uint64) {
	l := m.lacks[n]
	if l == nil {
		l = &lack{err: v.Missing(n.Grant(v.Subject))}
		if m.lacks == nil {
			m.lacks = make(map[N]*lack)
		}
		m.lacks[n] = l
	}
	l.last, l.epoch, l.refused = v, epoch, l.refused+1
}

// Show has the owner told that a permission is missing, unless that was done before.
func (m *Missing[N]) Show(n N) {
	l := m.lacks[n]
	if l == nil || l.reason != "" {
		return
	}
	verb := "publish"
	if n.Subscribes() {
		verb = "subscribe"
	}
	l.reason = fmt.Sprintf("%s: permission to %s to %q is missing", n.Effect(), verb, n.Grant(l.last.Subject))
	m.tell = append(m.tell, transport.Event{Kind: transport.Degraded, Reason: l.reason, Err: l.err})
}

// Lacks returns the latest violation, and an error that names the permission, if it is missing.
func (m *Missing[N]) Lacks(n N) (last Violation, err error) {
	if l := m.lacks[n]; l != nil {
		return l.last, l.err
	}
	return last, nil
}

// EndUnwanted says which permissions are still needed. Nobody reports the others any more.
func (m *Missing[N]) EndUnwanted(wanted func(N) bool) {
	for n := range m.lacks {
		if !wanted(n) {
			m.end(n, transport.ErrClosed)
		}
	}
}

// end says that a permission is not missing any more, or, with an error, that nobody needs it.
func (m *Missing[N]) end(n N, err error) {
	l := m.lacks[n]
	delete(m.lacks, n)
	if l.reason != "" {
		m.tell = append(m.tell, transport.Event{Kind: transport.Recovered, Reason: l.reason, Err: err})
	}
}

// Tries returns how often the server has refused each permission that is missing, before they
// are tried again.
func (m *Missing[N]) Tries() map[N]int {
	all := make(map[N]int, len(m.lacks))
	for n, l := range m.lacks {
		all[n] = l.refused
	}
	return all
}

// Tried says that the permissions were tried again since Tries, and that Note was called for all
// that were refused. It returns those that are not missing any more. reconnect is true if the
// server has ended a subscription in an epoch that still goes on: it is made again by a reconnect.
func (m *Missing[N]) Tried(tries map[N]int, epoch uint64) (granted []N, reconnect bool) {
	for n, before := range tries {
		if l := m.lacks[n]; l != nil && l.refused == before {
			reconnect = reconnect || n.Subscribes() && l.epoch == epoch
			m.end(n, nil)
			granted = append(granted, n)
		}
	}
	return granted, reconnect
}

// TakeEvents returns what the owner has not been told yet.
func (m *Missing[N]) TakeEvents() []transport.Event {
	tell := m.tell
	m.tell = nil
	return tell
}
