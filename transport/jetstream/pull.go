package jetstream

import (
	"strconv"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
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
// One request asks for limit at most, if that is not 0.
func (p *pulls) want(room, inFlight, limit int) int {
	free := room - inFlight - p.outstanding
	if free <= 0 || p.outstanding > 0 && free < (room+1)/2 {
		return 0
	}
	if limit > 0 {
		free = min(free, limit)
	}
	p.outstanding += free
	return free
}

// arrived counts one in.
func (p *pulls) arrived() { p.outstanding = max(p.outstanding-1, 0) }

// unserved says that n that were asked for will not come.
func (p *pulls) unserved(n int) { p.outstanding = max(p.outstanding-n, 0) }

// limits are what a consumer allows a request.
type limits struct {
	batch   int           // 0: any
	expires time.Duration // 0: any
}

func limitsOf(config js.ConsumerConfig) limits {
	return limits{config.MaxRequestBatch, config.MaxRequestExpires}
}

// request is the request for a batch; see the server's JSApiConsumerGetNextRequest.
func (l limits) request(batch int) []byte {
	expires := pullExpires
	if l.expires > 0 {
		expires = min(expires, l.expires)
	}
	b := make([]byte, 0, 80)
	b = append(b, `{"batch":`...)
	b = strconv.AppendInt(b, int64(batch), 10)
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, int64(expires), 10)
	b = append(b, `,"idle_heartbeat":`...)
	b = strconv.AppendInt(b, int64(min(heartbeat, expires/2)), 10)
	return append(b, '}')
}
