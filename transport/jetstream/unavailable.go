package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// Answers of JetStream's API that say: not now. A cluster gives them while it elects a leader
// or starts, and while servers of a stream or consumer are away. They stand in nats-server's
// errors.json.
const (
	incompleteResults   js.ErrorCode = 10004
	notAssignedYet      js.ErrorCode = 10007
	temporarilyAway     js.ErrorCode = 10008
	notTheLeader        js.ErrorCode = 10009
	streamOffline       js.ErrorCode = 10118
	consumerOffline     js.ErrorCode = 10119
	streamOfflineWhy    js.ErrorCode = 10194
	consumerOfflineWhy  js.ErrorCode = 10195
	noResourcesForPeers js.ErrorCode = 10023 // also where a limit of the cluster is reached
)

// isUnavailable tells whether the server answers that it can't do it now. Waiting helps.
func isUnavailable(err error) bool {
	return hasCode(err, incompleteResults, notAssignedYet, temporarilyAway, notTheLeader, streamOffline, consumerOffline, streamOfflineWhy, consumerOfflineWhy)
}

// mayBeUnavailable tells whether the server's answer may be about the moment only: while a
// cluster elects its leaders nobody may respond, and while servers are away there may not be
// enough of them for a consumer.
func mayBeUnavailable(err error) bool { return isUnserved(err) || hasCode(err, noResourcesForPeers) }

func hasCode(err error, codes ...js.ErrorCode) bool {
	var api *js.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode)
}

// toldAfter is how long calls wait for JetStream before the owner is told: an election takes
// less.
const toldAfter = 2 * time.Second

const (
	checkCluster      = "check that its cluster has a leader, that enough of its servers run, and that the stream has a leader"
	unavailableReason = "JetStream is not available, and calls that need it wait: " + checkCluster
)

// unavailable tells the owner when calls wait for JetStream, and when none does any more. The
// zero value is ready. It is safe for concurrent use.
type unavailable struct {
	mu      sync.Mutex
	waiting int // calls that have waited for toldAfter
}

func (u *unavailable) begin(tell func(transport.Event), err error) {
	u.mu.Lock()
	u.waiting++
	first := u.waiting == 1
	u.mu.Unlock()
	if first {
		tell(transport.Event{Kind: transport.Degraded, Reason: unavailableReason, Err: err})
	}
}

// end takes the reason of the end; nil: JetStream has answered.
func (u *unavailable) end(tell func(transport.Event), err error) {
	u.mu.Lock()
	u.waiting--
	last := u.waiting == 0
	u.mu.Unlock()
	if last {
		tell(transport.Event{Kind: transport.Recovered, Reason: unavailableReason, Err: err})
	}
}

// unavailableUntil is the error of a request that JetStream could not serve until ctx was done.
func unavailableUntil(cause, err error) error {
	return noStreamError{fmt.Errorf("JetStream is not available: %w: %w", cause, err)}
}

// untilAvailable is the wait of one request for JetStream.
type untilAvailable struct {
	conn  *conn
	began time.Time // of the wait; zero: it has not begun
	told  bool
	last  error // JetStream's last answer that is waited for to change; nil: there was none
}

// goOn reports whether to call again after err, and tells the owner of a wait that is long.
func (w *untilAvailable) goOn(err error) bool {
	if w.began.IsZero() {
		w.began = time.Now()
	}
	waited := time.Since(w.began)
	again := isUnavailable(err) || mayBeUnavailable(err) && (waited < requestWait || w.conn.link.isFresh(unansweredFor))
	if again {
		w.last = err
	}
	if again && !w.told && waited >= toldAfter {
		w.told = true
		w.conn.unavailable.begin(w.conn.watch.Tell, err)
	}
	return again
}

// end ends the wait. err is what the request ends with.
func (w *untilAvailable) end(ctx context.Context, err error) {
	if !w.told {
		return
	}
	if err != nil && ctx.Err() == nil && !isUnavailable(err) && !mayBeUnavailable(err) {
		err = nil // JetStream has answered, with a refusal
	}
	w.conn.unavailable.end(w.conn.watch.Tell, err)
}
