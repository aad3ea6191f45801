package stan

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// removedPause is how long losses are put together after one was told: a listener that is
// slower than the channel's limit loses events again and again.
const removedPause = time.Second

// tellRemoved tells what the server has removed, if it is anything: at once, or together with
// what else is removed within a pause.
func (s *subscription) tellRemoved(lost loss) {
	if lost.count == 0 {
		return
	}
	s.telling.Lock()
	s.untold = s.untold.and(lost)
	pausing := s.pausing
	s.pausing = true
	s.telling.Unlock()
	if !pausing {
		s.flushRemoved()
		s.conn.later(removedPause, s.endPause)
	}
}

// endPause tells what has come together, and begins another pause if that is anything.
func (s *subscription) endPause() {
	s.telling.Lock()
	s.pausing = s.untold.count > 0
	again := s.pausing
	s.telling.Unlock()
	if again {
		s.flushRemoved()
		s.conn.later(removedPause, s.endPause)
	}
}

// flushRemoved tells what is not told yet.
func (s *subscription) flushRemoved() {
	s.telling.Lock()
	lost := s.untold
	s.untold = loss{}
	s.telling.Unlock()
	if lost.count == 0 {
		return
	}
	removed := transport.Removed{Subject: s.config.Subject, Durable: s.config.Durable, First: lost.first, Last: lost.last, Count: lost.count}
	s.conn.tell(transport.Event{Kind: transport.MessagesRemoved, Removed: removed, Err: fmt.Errorf("%v, were removed by the server's limits before they were handled here: "+
		"raise its limits of the channel (max_msgs: -mm, max_bytes: -mb, max_age: -ma), or make the listener faster", removed)})
}
