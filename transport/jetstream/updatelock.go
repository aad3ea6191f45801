package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/backoff"
)

// updateLock is the name of the consumer that a client creates while it reads a stream's
// configuration and updates it. No listener's consumer has such a name; see ConsumerName.
const updateLock = "updating-subjects"

const (
	// updateLockHeld is how long a client may hold the lock. Then the server deletes the
	// consumer, since its client may have died.
	updateLockHeld = 5 * time.Second
	// updateLockWait is how long a client waits for the lock, while many others add theirs, too.
	// Then it updates the stream without.
	updateLockWait = 30 * time.Second
)

// updateLockPauses spaces out the attempts to get the lock.
var updateLockPauses = backoff.Policy{First: 20 * time.Millisecond, Max: 200 * time.Millisecond}

// lockUpdates keeps other clients from updating the stream until unlock is called. An update
// replaces the whole configuration, and none fails because somebody else was faster: of two
// clients that have read the same list of subjects, the later one undoes what the earlier one
// has added. Besides, a server that is no cluster carries updates out side by side, and
// remembers wrongly then what it is subscribed to: it stores the messages of a subject twice,
// or not at all (nats-server 2.15.2, updateWithAdvisory, which compares with a configuration
// that it reads before it takes its lock).
//
// The lock is a consumer: the server creates one of each name, and refuses another client's,
// which has another description. It holds nothing. Where it can't be created, such as for want
// of a permission, the client goes on without.
func (c *conn) lockUpdates(ctx context.Context) (unlock func()) {
	config := js.ConsumerConfig{
		Name: updateLock, Description: rand.Text(), AckPolicy: js.AckNonePolicy, DeliverPolicy: js.DeliverNewPolicy,
		InactiveThreshold: updateLockHeld, MemoryStorage: true, Replicas: 1,
	}
	waiting, cancel := context.WithTimeout(ctx, updateLockWait)
	defer cancel()
	for attempt := 1; ; attempt++ {
		began := time.Now()
		_, err := requestUnlessForbidden(waiting, c, "CONSUMER.CREATE."+c.cfg.ClusterID+"."+updateLock, func(ctx context.Context) (js.Consumer, error) {
			return c.js.CreateConsumer(ctx, c.cfg.ClusterID, config)
		})
		if err == nil {
			return func() { c.unlockUpdates(ctx, began) }
		}
		var pause <-chan time.Time
		if isHeld(err) {
			pause = time.After(updateLockPauses.Delay(attempt))
		} else if waiting.Err() == nil {
			c.log.Debug("the stream is updated without the lock", slog.String("stream", c.cfg.ClusterID), slog.Any("error", err))
			return func() {}
		}
		select {
		case <-pause:
		case <-waiting.Done():
			return func() {}
		}
	}
}

// unlockUpdates deletes the consumer, unless it is or may soon be another client's.
func (c *conn) unlockUpdates(ctx context.Context, lockedAt time.Time) {
	left := updateLockHeld - time.Since(lockedAt)
	if left < updateLockHeld/5 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left/2)
	defer cancel()
	// If it can't be deleted, the server does so itself after a while.
	_, _ = requestUnlessForbidden(ctx, c, "CONSUMER.DELETE."+c.cfg.ClusterID+"."+updateLock, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, updateLock)
	})
}

// isHeld reports whether the lock could not be had since another client holds it.
func isHeld(err error) bool {
	var api *js.APIError
	return errors.As(err, &api) && (api.ErrorCode == js.JSErrCodeConsumerExists || api.ErrorCode == js.JSErrCodeConsumerNameExists)
}
