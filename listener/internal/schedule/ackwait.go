package schedule

import (
	"time"

	"github.com/sgtickets/common/transport"
)

// extensionsPerAckWait: where the broker can begin the ack wait of a delivery anew, that
// is done as many times within each, so that no event that is here runs a second time
// elsewhere, however slow the handlers are.
const extensionsPerAckWait = 3

// ExtendInterval returns after what time to call ExtendAckWaits; zero: there is nothing
// to extend.
func (s *Scheduler) ExtendInterval() time.Duration {
	if !s.rules.CanExtend || len(s.active) == 0 {
		return 0
	}
	return s.ackWait / extensionsPerAckWait
}

// ExtendAckWaits returns the deliveries whose ack wait is to begin anew, and counts it
// from now: of events that wait, run or rest here, and of those that their handler left
// open. The listener gives those up, and not the server at the same moment.
func (s *Scheduler) ExtendAckWaits(now time.Time) []transport.Settler {
	before := now.Add(-s.ackWait / (2 * extensionsPerAckWait)) // what is younger can wait for the next call
	var tasks []*Task
	for _, t := range s.active {
		if t.state != awaitingRedelivery && t.Received.Before(before) {
			tasks = append(tasks, t)
		}
	}
	sortByMessage(tasks)
	settlers := make([]transport.Settler, 0, len(tasks))
	for _, t := range tasks {
		t.Received = now
		settlers = append(settlers, t.Delivery.Settler)
	}
	return settlers
}
