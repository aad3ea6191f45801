package versions

import (
	"context"
	"fmt"
	"sync"

	"github.com/sgtickets/common/internal/await"
)

// Entity names an entity: its ID within a store.
type Entity struct {
	Store any // has to be comparable
	ID    string
}

// Locks let one event at a time be handled of each entity. There is a lock only while
// somebody holds it or waits for it. The zero value is ready. Locks are safe for
// concurrent use.
type Locks struct {
	mu    sync.Mutex
	locks map[Entity]*lock
}

type lock struct {
	held  chan struct{} // has an element while somebody holds the lock
	users int           // who hold it or wait for it
}

// Lock waits for the entity until ctx is done. Without an error the caller holds the lock
// and has to call Unlock.
func (l *Locks) Lock(ctx context.Context, e Entity) error {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = make(map[Entity]*lock)
	}
	k := l.locks[e]
	if k == nil {
		k = &lock{held: make(chan struct{}, 1)}
		l.locks[e] = k
	}
	k.users++
	l.mu.Unlock()
	select {
	case k.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.forget(e, k)
		return fmt.Errorf("another event of %q is still being handled: %w", e.ID, await.Cause(ctx))
	}
}

// Unlock lets the next one have the entity.
func (l *Locks) Unlock(e Entity) {
	l.mu.Lock()
	k := l.locks[e]
	l.mu.Unlock()
	<-k.held
	l.forget(e, k)
}

// forget counts one user less, and forgets a lock that nobody uses.
func (l *Locks) forget(e Entity, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.users--
	if k.users == 0 {
		delete(l.locks, e)
	}
}
