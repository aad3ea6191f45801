package listener

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// work is one event that was delivered and is not done with yet.
type work struct {
	id       identity
	name     name
	delivery transport.Delivery // the latest one of it; changes while it is here
	received time.Time          // when that came, or its ack wait was last begun anew
	event    any                // decoded, where the ordering key needs it; else nil
	key      string
	keyed    bool
	aside    bool // asleep out of its line, which it joins again
	patient  bool // it stood aside, and takes nobody's turn now that it is back in its line
	observed bool // by who delivers it once and wants to know what becomes of it

	state    state
	attempt  int       // of its last run; 0: it has not run
	begun    time.Time // when that began
	place    int       // among those that run
	due      time.Time // asleep: until then; gone: for its key, from then on
	again    bool      // it was delivered once more since it began to run
	settled  bool      // nothing is left to be decided, but its handler may still run
	failed   *failure  // decided, with ManualAck, while its handler still runs
	sentence *sentence // it is to become a dead letter
	burials  int       // how often that could not be stored
	twins    []*work   // events of the same name, which wait until this one has run
	warned   warnings
}

// state is where an event stands in the book.
type state uint8

const (
	arriving state = iota
	waiting        // for one of its key, or its twin
	ready          // to run
	running        // its handler runs
	open           // with ManualAck: its handler has returned, and has not settled it
	asleep         // until its next attempt is due
	dying          // its dead letter is being stored
	gone           // not here any more; holds up its key until it comes again
	over           // not in the book any more
)

func newWork(d transport.Delivery, received time.Time) *work {
	return &work{id: identity{d.Sequence, d.Timestamp.UnixNano()}, name: nameOf(d.Header), delivery: d, received: received}
}

// identity tells stored events apart. The sequence alone does not: a server that
// lost its store begins again at 1.
type identity struct {
	sequence uint64
	stored   int64
}

// before is the order in which events were stored.
func (i identity) before(other identity) bool {
	if i.stored != other.stored {
		return i.stored < other.stored
	}
	return i.sequence < other.sequence
}

// sortByID puts works in the order in which their events were stored.
func sortByID(all []*work) {
	slices.SortFunc(all, func(v, w *work) int {
		switch {
		case v.id == w.id:
			return 0
		case v.id.before(w.id):
			return -1
		default:
			return 1
		}
	})
}

// unrun tells whether no handler saw its latest delivery.
func (w *work) unrun() bool { return w.attempt == 0 || w.again }
