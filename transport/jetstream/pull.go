package jetstream

import (
	"strconv"
	"time"
)

const (
	// pullExpires is after what time the server gives a request for events up.
	pullExpires = time.Minute
	// heartbeat is how often the server says that it still has the request. After
	// two that did not come, it has lost it.
	heartbeat = 5 * time.Second
)

// pulls counts what has been asked for and has not come. It bounds what is in
// flight: no more is asked for than there is room.
type pulls struct{ outstanding int }

// want returns how many to ask for now. With some on their way already, it waits
// until half of the room is free: one request asks for many.
func (p *pulls) want(room, inFlight int) int {
	free := room - inFlight - p.outstanding
	if free <= 0 || p.outstanding > 0 && free < (room+1)/2 {
		return 0
	}
	p.outstanding += free
	return free
}

// arrived counts one in.
func (p *pulls) arrived() { p.outstanding = max(p.outstanding-1, 0) }

// unserved says that n that were asked for will not come.
func (p *pulls) unserved(n int) { p.outstanding = max(p.outstanding-n, 0) }

// pullRequest is the request for a batch; see the server's JSApiConsumerGetNextRequest.
func pullRequest(batch int) []byte {
	b := make([]byte, 0, 80)
	b = append(b, `{"batch":`...)
	b = strconv.AppendInt(b, int64(batch), 10)
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, int64(pullExpires), 10)
	b = append(b, `,"idle_heartbeat":`...)
	b = strconv.AppendInt(b, int64(heartbeat), 10)
	return append(b, '}')
}
