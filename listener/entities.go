package listener

import (
	"context"
	"fmt"
	"sync"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
)

// entities are those of which an event is being handled in this process, by listeners
// with InVersionOrder: of whatever subject and client, since they have the store in
// common.
var entities = locks{held: make(map[entity]*lock)}

type entity struct {
	store VersionStore
	id    string
}

// locks let one at a time do something to an entity. There is one only while somebody
// has it or waits for it.
type locks struct {
	mu   sync.Mutex
	held map[entity]*lock
}

type lock struct {
	place chan struct{} // holds an element while somebody has it
	users int           // who have it or wait for it
}

// take waits for the entity until ctx is done. It has to be given back, then, and only
// then, if there is no error.
func (l *locks) take(ctx context.Context, e entity) error {
	l.mu.Lock()
	k := l.held[e]
	if k == nil {
		k = &lock{place: make(chan struct{}, 1)}
		l.held[e] = k
	}
	k.users++
	l.mu.Unlock()
	select {
	case k.place <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.leave(e, k)
		return fmt.Errorf("another event of %q is still being handled: %w", e.id, await.Cause(ctx))
	}
}

func (l *locks) giveBack(e entity) {
	l.mu.Lock()
	k := l.held[e]
	l.mu.Unlock()
	<-k.place
	l.leave(e, k)
}

func (l *locks) leave(e entity, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.users--
	if k.users == 0 {
		delete(l.held, e)
	}
}

// entityOf is the key by which several workers do not overtake one another with the
// events of an entity that come in order.
func entityOf(event any) (id string, err error) {
	defer recovered("EntityID", &err)
	v, _ := event.(events.Versioned)
	return v.EntityID(), nil
}

// oneAtATime makes the events of an entity wait for one another, middleware included:
// a transaction that it ends has ended before the next one looks at the version.
func oneAtATime(store VersionStore, handle func(context.Context, any, Delivery) error) func(context.Context, any, Delivery) error {
	return func(ctx context.Context, event any, d Delivery) error {
		v, _ := event.(events.Versioned)
		e := entity{store, v.EntityID()}
		if err := entities.take(ctx, e); err != nil {
			return err
		}
		defer entities.giveBack(e)
		return handle(ctx, event, d)
	}
}
