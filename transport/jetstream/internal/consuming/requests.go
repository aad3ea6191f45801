package consuming

import (
	"log/slog"
	"strings"
	"time"
)

// requests counts the messages that were asked for and have not come. It bounds what
// a subscription holds: it never asks for more than it has room for.
type requests struct{ outstanding int }

// want returns how many messages to ask for now. While some are on their way, it waits
// until half of the room is free, so that one request asks for many. limit is the
// most that one request may ask for; 0: any number.
func (r *requests) want(room, held, limit int) int {
	free := room - held - r.outstanding
	if free <= 0 || r.outstanding > 0 && free < (room+1)/2 {
		return 0
	}
	if limit > 0 {
		free = min(free, limit)
	}
	r.outstanding += free
	return free
}

// arrived counts one message in.
func (r *requests) arrived() { r.unserved(1) }

// unserved notes that n messages that were asked for will not come.
func (r *requests) unserved(n int) { r.outstanding = max(r.outstanding-n, 0) }

// limits are what a consumer allows a request.
type limits struct {
	batch   int           // 0: any number
	expires time.Duration // 0: any time
	deliver int           // how often a message is delivered at most; 0: any number of times
}

// newRound begins a round of requests with an inbox of its own. The server serves no
// request of an earlier round once nobody listens to its inbox. Messages that are on
// their way to an earlier inbox are still received.
func (m *Machine) newRound(now time.Time) {
	m.round++
	m.open++
	m.requests = requests{}
	m.heardAt = now
	m.retryAt = time.Time{}
	m.emit(Effect{Do: OpenInbox, Round: m.round})
}

// restart begins a new round and asks for as much as there is room for.
func (m *Machine) restart(now time.Time, why string) {
	m.log(slog.LevelDebug, "asking for events anew", slog.String("why", why))
	m.newRound(now)
	m.pull(now)
}

// pull asks for as much as there is room for.
func (m *Machine) pull(now time.Time) {
	if m.stopped || m.healing.phase != notHealing {
		return
	}
	room := m.room()
	expires := PullExpires
	if m.limits.expires > 0 {
		expires = min(expires, m.limits.expires)
	}
	for {
		n := m.requests.want(room, m.held(), m.limits.batch)
		if n == 0 {
			return
		}
		m.heardAt = now
		m.emit(Effect{Do: Pull, Round: m.round, Batch: n, Expires: expires, Beat: min(Heartbeat, expires/2)})
	}
}

// room returns how many messages the subscription wants to have now.
func (m *Machine) room() int {
	wants := m.config.Room
	if m.limits.deliver > 0 && m.config.Startable != nil {
		wants = m.config.Startable
	}
	if wants == nil {
		return m.config.MaxInFlight
	}
	return max(1, min(m.config.MaxInFlight, wants()))
}

// NotSent says that n messages of that round could not be asked for, since there is no
// connection. The machine asks again when the connection is back.
func (m *Machine) NotSent(round uint64, n int) {
	if round == m.round {
		m.requests.unserved(n)
	}
}

// Unknown says that the server did not say how many messages a request lacks.
const Unknown = -1

// Status takes in what the server says of a request. lacking is how many messages of
// the request will not come, or [Unknown].
func (m *Machine) Status(now time.Time, round uint64, status, description string, lacking int) {
	if round != m.round || !m.running() {
		return
	}
	m.heardAt = now
	switch {
	case status == "100": // a heartbeat
		m.served()
	case status == "408", status == "409" && description == "Batch Completed":
		if lacking < 0 {
			lacking = m.requests.outstanding
		}
		m.served()
		m.requests.unserved(lacking)
		m.pull(now)
	case status == "503", status == "409" && description == "Consumer Deleted":
		m.heal(now, status+" "+description)
	default:
		m.refused(now, status+" "+description)
	}
}

// served: the server takes requests.
func (m *Machine) served() { m.healing.inARow, m.refusals = 0, 0 }

// refused deals with a request that the server has ended with an error: it is asked
// again after a pause.
func (m *Machine) refused(now time.Time, status string) {
	passes := strings.Contains(status, "Leadership Change") || strings.Contains(status, "Server Shutdown")
	switch {
	case passes:
		m.log(slog.LevelDebug, "request for events ended", slog.String("status", status))
	case m.warnedAt.IsZero() || now.Sub(m.warnedAt) >= tellEvery:
		m.warnedAt = now
		m.log(slog.LevelWarn, "the server refuses requests for events: none are received until it takes them", slog.String("status", status))
	}
	m.refusals++
	if m.retryAt.IsZero() {
		m.retryAt = now.Add(max(refusedWait, m.config.Backoff(m.refusals)))
		m.retryAsks = !passes // the consumer may be another one than it was
	}
}

// retry asks again after a request was refused.
func (m *Machine) retry(now time.Time) {
	m.retryAt = time.Time{}
	if m.retryAsks {
		m.ask(true)
		return
	}
	m.restart(now, "the consumer has another leader")
}
