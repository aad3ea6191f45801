package faults_test

import (
	"slices"
	"sync"
	"time"
)

// ledger is what became of each event, counted from both ends.
type ledger struct {
	mu       sync.Mutex
	events   []entry // number 1 comes first
	messages map[message]int
	runs     map[message]runs
	handlers []time.Time // when one was called
	again    int         // times that one was called for a message that was handled before
	faults   []outage
	emptied  time.Time // when the server lost what it had stored
}

type entry struct {
	begun, ended time.Time
	outcome      outcome
	handled      time.Time // first
	copies       int       // in the server's log
	odd          bool      // does what others do not, and is counted apart
}

// runs is how often a handler was begun for a message, and the event that it is.
type runs struct{ n, times int }

// outage is a fault while it lasts. One that leaves nothing to undo ends as it begins,
// and is never lifted.
type outage struct {
	begun    time.Time
	inEffect time.Time // when the test had done what it takes: nothing gets through any more
	lifted   time.Time // when its end began: what is about to start may serve before the test knows
	ended    time.Time
}

// stops reports whether the fault should have kept that event from its handler: the
// event was published once the fault was in effect, and handled before its end began.
// An event that was published before may have been on its way, and on a busy machine
// its handler may be called long after.
func (o outage) stops(e entry) bool {
	return e.begun.After(o.inEffect) && !e.handled.IsZero() && e.handled.Before(o.lifted)
}

func newLedger() *ledger {
	return &ledger{messages: make(map[message]int), runs: make(map[message]runs)}
}

// next is the number of an event that is about to be published.
func (l *ledger) next(odd bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, entry{begun: time.Now(), odd: odd})
	return len(l.events)
}

// reserve gives numbers away for events that another process publishes, and tells of. Not
// all need be used.
func (l *ledger) reserve(n int) (first int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, make([]entry, n)...)
	return len(l.events) - n + 1
}

// publishing says that such an event is about to be published.
func (l *ledger) publishing(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[n-1].begun = time.Now()
}

// unused tells whether it is of a number that was reserved, and of no event.
func (e entry) unused() bool { return e.begun.IsZero() && e.copies == 0 }

func (l *ledger) published(n int, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[n-1].ended, l.events[n-1].outcome = time.Now(), o
}

func (l *ledger) began(n int, m message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 {
		l.runs[m] = runs{n, l.runs[m].times + 1}
	}
}

// begins is how often handlers were begun for an event.
func (l *ledger) begins(n int) (times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.runs {
		if r.n == n {
			times += r.times
		}
	}
	return times
}

// reruns is how often handlers were begun again, for events that do nothing
// particular; and the most that one was begun that does.
func (l *ledger) reruns() (again, mostOdd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.runs {
		if l.events[r.n-1].odd {
			mostOdd = max(mostOdd, r.times)
		} else {
			again += r.times - 1
		}
	}
	return again, mostOdd
}

// oddHandled is how many of the odd events were handled, and how long that took at
// most.
func (l *ledger) oddHandled() (n int, latest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.odd && !e.handled.IsZero() {
			n++
			latest = max(latest, e.handled.Sub(e.begun))
		}
	}
	return n, latest
}

func (l *ledger) handled(n int, m message, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == 0 {
		return
	}
	l.handlers = append(l.handlers, at)
	l.messages[m]++
	if l.messages[m] > 1 && !l.events[n-1].odd {
		l.again++
	}
	if e := &l.events[n-1]; e.handled.IsZero() {
		e.handled = at
	}
}

// calls is how many handlers have returned.
func (l *ledger) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.handlers)
}

// strike marks the beginning of a fault, which cause brings about before it returns.
func (l *ledger) strike(cause func()) {
	o := outage{begun: time.Now()}
	cause()
	o.inEffect = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, o)
}

// lift marks that it is about to end.
func (l *ledger) lift() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[len(l.faults)-1].lifted = time.Now()
}

// over marks its end, from which on the time is taken.
func (l *ledger) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[len(l.faults)-1].ended = time.Now()
}

func (l *ledger) lostStore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emptied = time.Now()
}

// stored enters the server's log.
func (l *ledger) stored(numbers []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.events {
		l.events[i].copies = 0
	}
	for _, n := range numbers {
		if n > 0 {
			l.events[n-1].copies++
		}
	}
}

// back is how long after the end of a fault one of the events that were published
// since it began was stored, and one was handled; false as long as that has not come
// about. (What was published before may have got through, and not been handled yet.)
func (l *ledger) back(o outage) (time.Duration, bool) {
	var stored, handled time.Time
	for i := len(l.events) - 1; i >= 0 && l.events[i].begun.After(o.begun); i-- {
		e := l.events[i]
		if e.outcome == confirmed && e.ended.After(o.ended) {
			stored = earliest(stored, e.ended)
		}
		if e.handled.After(o.ended) {
			handled = earliest(handled, e.handled)
		}
	}
	if stored.IsZero() || handled.IsZero() {
		return 0, false
	}
	return max(stored.Sub(o.ended), handled.Sub(o.ended)), true
}

// during is how many events were handled while a fault lasted that should have kept
// them from their handlers.
func (l *ledger) during() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if slices.ContainsFunc(l.faults, func(o outage) bool { return o.stops(e) }) {
			n++
		}
	}
	return n
}

// gap is the longest time between two handlers, while events were published.
func (l *ledger) gap() (longest time.Duration) {
	slices.SortFunc(l.handlers, time.Time.Compare) // processes tell of theirs one after another
	var last time.Time
	for _, e := range l.events {
		if e.begun.After(last) {
			last = e.begun
		}
	}
	for i, at := range l.handlers {
		next := last
		if i+1 < len(l.handlers) {
			next = earliest(next, l.handlers[i+1])
		}
		longest = max(longest, next.Sub(at))
	}
	return longest
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// isBack reports whether the service has come back from the last fault.
func (l *ledger) isBack() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.back(l.faults[len(l.faults)-1])
	return ok
}

// pending is how many publishes have not ended, and how many stored events are not
// handled, but for the odd ones.
func (l *ledger) pending() (publishes, events int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.outcome == pending && !e.unused() {
			publishes++
		}
		if e.copies > 0 && e.handled.IsZero() && !e.odd {
			events++
		}
	}
	return publishes, events
}

// never is a time until something that did not come about while it was waited for.
const never = time.Duration(-1)

// figures are what a cell of the table tells.
type figures struct {
	published int
	refused   int           // publishes that say the event is not stored
	unknown   int           // publishes that can't say
	open      int           // publishes that did not return
	ghosts    int           // refused, yet stored
	lost      int           // confirmed, yet not stored
	doubled   int           // stored more than once
	stuck     int           // stored, yet not handled
	again     int           // handled again: the same message
	gap       time.Duration // longest between two handlers, while events were published
	late      time.Duration // longest from a publish to its handler
	back      time.Duration // longest from the end of a fault until all goes on
}

// balance makes up the account.
func (l *ledger) balance() figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := figures{again: l.again}
	for _, e := range l.events {
		if e.unused() {
			continue
		}
		f.published++
		switch e.outcome {
		case pending:
			f.open++
		case refused:
			f.refused++
		case unknown:
			f.unknown++
		case confirmed:
		}
		if e.copies > 1 {
			f.doubled++
		}
		if e.copies > 0 && e.outcome == refused {
			f.ghosts++
		}
		if e.copies == 0 && e.outcome == confirmed && e.ended.After(l.emptied) {
			f.lost++ // what was confirmed before that, the server itself has lost
		}
		if e.odd {
			continue
		}
		if !e.handled.IsZero() {
			f.late = max(f.late, e.handled.Sub(e.begun))
		} else if e.copies > 0 {
			f.stuck++
		}
	}
	f.gap = l.gap()
	for _, fault := range l.faults {
		back, ok := l.back(fault)
		if !ok {
			f.back = never
			break
		}
		f.back = max(f.back, back)
	}
	return f
}
