package jetstream

import (
	"strconv"
	"strings"
	"time"
)

// origin is what the reply subject of a delivery tells of its message.
type origin struct {
	stream     string
	consumer   string
	sequence   uint64 // in the stream
	deliveries uint64
	ofConsumer uint64 // counts the deliveries of the consumer
	stored     time.Time
	pending    uint64 // how many messages of its subject the consumer had not delivered then
}

// originOf reads a reply subject. ok: it is that of a delivery. It is (*nats.Msg).Metadata
// for these seven, and costs no memory. The subject is
//
//	$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<of the consumer>.<nanoseconds>.<pending>
//
// or has the domain and the account before the stream, and may go on behind.
func originOf(reply string) (o origin, ok bool) {
	rest, ok := strings.CutPrefix(reply, ackPrefix)
	if !ok {
		return o, false
	}
	before := 2
	switch dots := strings.Count(rest, "."); {
	case dots >= 8:
		before = 4
	case dots != 6:
		return o, false
	}
	for range before {
		o.stream = o.consumer
		o.consumer, rest, _ = strings.Cut(rest, ".")
	}
	var numbers [4]uint64
	for i := range numbers {
		var token string
		var err error
		token, rest, _ = strings.Cut(rest, ".")
		if numbers[i], err = strconv.ParseUint(token, 10, 64); err != nil {
			return o, false
		}
	}
	token, _, _ := strings.Cut(rest, ".")
	o.pending, _ = strconv.ParseUint(token, 10, 64)
	o.deliveries, o.sequence, o.ofConsumer, o.stored = numbers[0], numbers[1], numbers[2], time.Unix(0, int64(numbers[3])) //nolint:gosec // G115: as the server has it
	return o, true
}
