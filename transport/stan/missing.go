package stan

import (
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// missing is what is known of permissions that a client needs and lacks. It decides what the
// owner is told: once that one is missing, and once that it is there again. It has no lock and
// no goroutine.
type missing struct {
	lacks map[need]*lack
	tell  []transport.Event // that the owner has not been told yet
}

// lack is a permission that is missing.
type lack struct {
	reason  string // as the owner was told; empty: the owner was not told
	err     error  // names the permission
	last    natsconn.Violation
	epoch   uint64 // of the supervisor then
	refused int    // how often the server has refused it
}

// refuse says that the server has refused what is needed.
func (m *missing) refuse(n need, v natsconn.Violation, epoch uint64) {
	l := m.lacks[n]
	if l == nil {
		l = &lack{err: v.Missing(n.grant(v.Subject))}
		if m.lacks == nil {
			m.lacks = make(map[need]*lack)
		}
		m.lacks[n] = l
	}
	l.last, l.epoch, l.refused = v, epoch, l.refused+1
	if n.kind != needConfirmations { // nobody needs them who does not publish
		m.show(n)
	}
}

// show has the owner told that a permission is missing, unless that was done before.
func (m *missing) show(n need) {
	if l := m.lacks[n]; l != nil && l.reason == "" {
		l.reason = n.reason(l.last)
		m.tell = append(m.tell, transport.Event{Kind: transport.Degraded, Reason: l.reason, Err: l.err})
	}
}

// end says that a permission is not missing any more, or, with an error, that nobody needs it.
func (m *missing) end(n need, err error) {
	if l := m.lacks[n]; l != nil {
		delete(m.lacks, n)
		if l.reason != "" {
			m.tell = append(m.tell, transport.Event{Kind: transport.Recovered, Reason: l.reason, Err: err})
		}
	}
}

// tries returns how often the server has refused each permission that is missing, before they
// are tried again.
func (m *missing) tries() map[need]int {
	all := make(map[need]int, len(m.lacks))
	for n, l := range m.lacks {
		all[n] = l.refused
	}
	return all
}

// tried says that the permissions were tried again since tries, and that refuse was called for
// all that were refused. It reports whether the server has to be asked anew for a subscription
// that it had ended, in an epoch that still goes on.
func (m *missing) tried(tries map[need]int, epoch uint64) (reconnect bool) {
	for n, before := range tries {
		if l := m.lacks[n]; l != nil && l.refused == before {
			reconnect = reconnect || n.subscribes() && l.epoch == epoch
			m.end(n, nil)
		}
	}
	return reconnect
}

// tryAgain is how often permissions that are missing are tried again.
const tryAgain = 2 * time.Second
