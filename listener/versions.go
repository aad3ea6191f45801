package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/listener/internal/versions"
	"github.com/sgtickets/common/transport"
)

// ErrVersionGap means that an event can't be applied yet, since one before it of its
// entity has not been.
var ErrVersionGap = errors.New("version gap")

// NoVersion is the version of an entity of which no event was applied.
const NoVersion int64 = versions.None

// VersionStore remembers which version of each entity was applied last. It belongs
// to one service, whose listeners of an entity's several subjects share it, and lasts
// as long as what the service makes of the events: a table of the same database, or
// [MemoryVersions]. Entities of two kinds that may have the same ID need a store
// each. Its methods are called by several goroutines; within a process, by one at a
// time for an entity.
//
// Both get the handler's context: a transaction that a [Middleware] begins and puts
// into it is there for the handler and for the store. Then what the handler does
// and the version stand or fall together. Without one, an event whose handler has
// succeeded runs again if its version could not be set, as after a crash between the
// two, so that the handler has to bear it.
type VersionStore interface {
	// AppliedVersion returns the version that was applied last, or NoVersion.
	AppliedVersion(ctx context.Context, entityID string) (int64, error)

	// SetAppliedVersion is called once the handler has succeeded: version was applied,
	// after previous, which is NoVersion or what AppliedVersion returned. Where the
	// members of a queue group are several processes, it has to return an error when
	// another one was applied meanwhile ("where version = previous" changed no row):
	// the event is tried again then, and the transaction undoes what the handler did.
	SetAppliedVersion(ctx context.Context, entityID string, previous, version int64) error
}

// InVersionOrder applies the events of each entity exactly in the order of their
// versions, each once, though they arrive delayed, doubled or out of order. T has to
// be an events.Versioned, or New refuses it; among the client's [Defaults] the option is passed
// over for other types.
//
//   - An event is handled when the version before its own was applied last, and one
//     that begins its entity ([events.Beginner]) also when none was.
//   - An event whose version, or a later one, was applied is acknowledged and not handled.
//   - An event before which versions are missing waits for them ([ErrVersionGap]): it is
//     tried again after 0.1 s, then twice as long each time, up to 5 s, whatever [Backoff]
//     says, and 5 ms later for each missing version, 1 s at most. That is no failure and uses
//     no attempt. [VersionGapTimeout] says how long it waits; after that it becomes a dead
//     letter. Other entities go on meanwhile.
//
// Over NATS Streaming an event that waits takes room meanwhile. If [MaxInFlight] events wait
// for a missing event of their own subject, the server does not send that event before they
// are given up; set it to more than events are ever out of place. A listener that begins later than
// the entities ([StartAt]) would wait for events that it never gets; put their versions into
// the store first.
//
// Two events of one entity are never handled at the same time in a process: with
// [Concurrency] the second waits for the first, within its [HandlerTimeout]. The
// store sees to that where there are several processes. It can't be combined with
// [ManualAck], nor with [OrderingKey], which would keep a missing event behind those
// that wait for it.
func InVersionOrder(store VersionStore) Option {
	return func(o *options) error {
		if option.IsNil(store) {
			return fmt.Errorf("%w option InVersionOrder: its store is nil; NewMemoryVersions makes one", transport.ErrInvalid)
		}
		if !reflect.ValueOf(store).Comparable() {
			return fmt.Errorf("%w option InVersionOrder: its store, a %T, can't be told from another one; use a pointer", transport.ErrInvalid, store)
		}
		if o.versions != nil {
			return fmt.Errorf("%w option InVersionOrder: given twice", transport.ErrInvalid)
		}
		o.versions = store
		return nil
	}
}

// ordered makes a handler apply events in version order.
func ordered[T events.Event](h Handler[T], store VersionStore, log *slog.Logger) Handler[T] {
	return func(ctx context.Context, event T, d Delivery) error {
		e, _ := any(&event).(events.Versioned)
		id, version := e.EntityID(), e.EntityVersion()
		if id == "" || version < 0 {
			return Reject(fmt.Errorf("event of entity %q with version %d: it has no place in version order", id, version))
		}
		last, err := store.AppliedVersion(ctx, id)
		if err != nil {
			return fmt.Errorf("version applied last of %q: %w", id, err)
		}
		switch decision, missing := versions.Decide(version, last, begins(e)); decision {
		case versions.Skip:
			log.Debug("event acknowledged unhandled: its version, or a later one, was applied before",
				slog.Uint64("sequence", d.Sequence), slog.String("entity", id), slog.Int64("version", version), slog.Int64("applied", last))
			return nil
		case versions.Wait:
			return &gapError{gap(id, version, last), missing}
		case versions.Apply:
		}
		if err := h(ctx, event, d); err != nil {
			return err
		}
		if err := store.SetAppliedVersion(ctx, id, last, version); err != nil {
			return fmt.Errorf("event handled, but that version %d of %q was applied could not be noted: %w", version, id, err)
		}
		return nil
	}
}

// gapError is why an event waits, with how many versions are missing before it.
type gapError struct {
	error

	missing int64
}

func (e *gapError) Unwrap() error { return e.error }

// gap says which version is missing.
func gap(id string, version, last int64) error {
	if last == NoVersion {
		return fmt.Errorf("%w: version %d of %q, of which none was applied: the event that begins it is missing", ErrVersionGap, version, id)
	}
	return fmt.Errorf("%w: version %d of %q, of which %d was applied last: %d is missing", ErrVersionGap, version, id, last, last+1)
}

func begins(e events.Versioned) bool {
	b, ok := e.(events.Beginner)
	return ok && b.BeginsEntity()
}

// entities are locked while an event of theirs is handled in this process, by listeners
// with InVersionOrder: of whatever subject and client, since they have the store in
// common.
var entities versions.Locks

// readers are the listeners with InVersionOrder that listen in this process.
var readers versions.Readers

// entityOf returns the key by which several workers do not overtake one another with the
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
		e := versions.Entity{Store: store, ID: v.EntityID()}
		if err := entities.Lock(ctx, e); err != nil {
			return err
		}
		defer entities.Unlock(e)
		return handle(ctx, event, d)
	}
}
