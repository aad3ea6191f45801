package deadletter

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// RedrivenFor is the header of an event that was put back: the queue group that
// could not handle it. Only brokers that have headers carry it.
const RedrivenFor = "Redriven-For"

// identity is what tells messages of a channel apart, also after the server has
// lost its store.
type identity struct {
	sequence uint64
	stored   int64 // in nanoseconds since 1970
}

// fate is what became of an event.
type fate int

const (
	open fate = iota // not decided: on its way to its subject
	stored
	kept
	failed
)

// letter is a dead letter that was delivered.
type letter struct {
	id      identity
	event   *event
	settler transport.Settler // of the latest delivery, while that may have to be acknowledged
}

// event is what dead letters of one ID are about.
type event struct {
	id      string
	fate    fate
	letters []*letter
	publish publishing.Pending
}

// pass is one Redrive at work. One goroutine has it; the desk is what others
// reach.
type pass struct {
	session *session.Session
	options options
	group   string
	subject subjects.Subject
	last    uint64 // the newest dead letter that was there at the beginning
	log     *slog.Logger
	desk    *desk

	letters map[identity]*letter
	left    map[identity]transport.Settler // what is left alone and was given back, see leave
	events  map[string]*event              // by ID of the dead letter
	flying  int
	tally   *tally
	first   error // why the first of those failed that did

	ackWait time.Duration // that the server applies
	news    time.Time     // when a dead letter came that had not come before, or it began anew to wait for one
}

// run works until everything is done, or ctx, the subscription or the limit ends it.
func (p *pass) run(ctx context.Context, sub transport.Subscription) error {
	p.ackWait, p.news = sub.AckWait(), time.Now()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		p.work(ctx)
		if ctx.Err() == nil && p.done(ctx) {
			return nil
		}
		timer.Reset(p.pause())
		select {
		case <-p.desk.wake:
		case <-timer.C:
		case <-sub.Done():
			p.land(sub.Err())
			return sub.Err()
		case <-ctx.Done():
			p.land(await.Cause(ctx))
			return await.Cause(ctx)
		}
	}
}

// work takes in what is on the desk.
func (p *pass) work(ctx context.Context) {
	for ctx.Err() == nil && p.session.Conn.Err() == nil {
		if p.desk.interrupted() {
			p.news = time.Now() // what was dropped comes again
		}
		for _, o := range p.desk.outcomes() {
			p.settled(o.event, o.err)
		}
		if p.full() {
			return
		}
		d, ok := p.desk.next()
		if !ok {
			return
		}
		p.take(ctx, d)
	}
}

// full reports whether all that the limit allows is put back, or on its way.
func (p *pass) full() bool {
	return p.options.limit > 0 && p.tally.far().Redriven+p.flying >= p.options.limit
}

// end is when there is nothing more to come, if nothing comes until then. What a
// member has in hand that is dead goes round the group, one step each ack wait: with
// one such it is here after two.
func (p *pass) end() time.Time { return p.news.Add(2*p.ackWait + quiet) }

// pause is how long to wait if nothing happens.
func (p *pass) pause() time.Duration {
	if p.flying > 0 {
		return quiet
	}
	return time.Until(p.end())
}

// done reports whether everything is.
func (p *pass) done(ctx context.Context) bool {
	switch {
	case p.flying > 0:
		return false
	case p.full():
		return true
	case time.Now().Before(p.end()):
		return false
	}
	if !alive(ctx, p.session.Conn) {
		p.news = time.Now() // nothing came since nothing could
		return false
	}
	return p.desk.empty()
}

// take takes in a delivery.
func (p *pass) take(ctx context.Context, d transport.Delivery) {
	id := identity{d.Sequence, d.Timestamp.UnixNano()}
	if d.Sequence > p.last {
		p.leave(id, d.Settler) // it came later than this Redrive
		return
	}
	if l, again := p.letters[id]; again {
		l.settler = d.Settler
		p.settle(l)
		return
	}
	p.news = time.Now()
	l := &letter{id: id, settler: d.Settler}
	p.letters[id] = l
	dead, err := p.decode(d)
	if e, twice := p.events[dead.ID]; twice && err == nil {
		l.event = e
		e.letters = append(e.letters, l)
		if e.fate != open {
			p.tally.count(e.fate, true)
			p.settle(l)
		}
		return
	}
	l.event = &event{id: dead.ID, letters: []*letter{l}}
	switch {
	case err != nil:
		p.conclude(l.event, failed, err)
		return
	case dead.Group != p.group || dead.Original != p.subject: // of names with other dots in them
		p.conclude(l.event, kept, nil)
	default:
		switch wanted, err := p.wanted(ctx, dead); {
		case err != nil:
			p.conclude(l.event, failed, err)
		case wanted:
			p.putBack(ctx, l.event, dead)
		default:
			p.conclude(l.event, kept, nil)
		}
	}
	p.events[dead.ID] = l.event
}

// wanted asks the caller's filter, in a goroutine of its own. A panic of it, or that it
// ends that goroutine, concerns its letter alone.
func (p *pass) wanted(ctx context.Context, dead events.DeadLetter) (bool, error) {
	if p.options.where == nil {
		return true, nil
	}
	is, err := await.Do(context.WithoutCancel(ctx), func() (is bool, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v", v)
			}
		}()
		return p.options.where(dead), nil
	}, nil)
	if err != nil {
		err = fmt.Errorf("the function of option Where: %w", err)
	}
	return is, err
}

// decode reads a dead letter.
func (p *pass) decode(d transport.Delivery) (events.DeadLetter, error) {
	var dead events.DeadLetter
	if err := (codec.JSON{}).Decode(d.Data, &dead); err != nil {
		return dead, fmt.Errorf("dead letter %d is none: %w", d.Sequence, err)
	}
	if err := dead.Validate(); err != nil {
		return dead, fmt.Errorf("dead letter %d is not valid: %w", d.Sequence, err)
	}
	return dead, nil
}

// putBack publishes an event on its subject.
func (p *pass) putBack(ctx context.Context, e *event, dead events.DeadLetter) {
	m, err := p.message(ctx, dead)
	if err == nil {
		e.publish.OnDecided = transport.ReceiptFunc(func(err error) { p.desk.settled(e, err) })
		err = p.session.Sender().PublishAsync(ctx, m, &e.publish)
	}
	switch {
	case err == nil:
		p.flying++
	case ctx.Err() != nil:
	default:
		p.conclude(e, failed, err)
	}
}

// message makes the event's message as it was, but for what would keep the broker
// from storing it once more.
func (p *pass) message(ctx context.Context, dead events.DeadLetter) (transport.Message, error) {
	m := transport.Message{Subject: string(dead.Original), Data: dead.Data}
	header := transport.Header(dead.Header)
	if dead.Truncated {
		d, err := original(ctx, p.session.Conn, dead)
		if err != nil {
			return m, err
		}
		m.Data, header = d.Data, d.Header
	}
	features := p.session.Conn.Features()
	if features.Deduplicate {
		m.ID = "redrive/" + dead.ID // not the event's own, by which the broker would take it for that
	}
	if features.Headers {
		m.Header = maps.Clone(header)
		if m.Header == nil {
			m.Header = make(transport.Header, 1)
		}
		maps.DeleteFunc(m.Header, func(name string, _ []string) bool {
			return strings.HasPrefix(strings.ToLower(name), "nats-") // what the first publish asked of the broker
		})
		m.Header[RedrivenFor] = []string{dead.Group}
	}
	return m, nil
}

// settled takes in what became of a publish.
func (p *pass) settled(e *event, err error) {
	p.flying--
	switch {
	case err == nil:
		p.conclude(e, stored, nil)
	case p.session.Conn.Err() == nil:
		p.conclude(e, failed, err)
	default: // the connection is over, and with it the Redrive
	}
}

// conclude decides what becomes of an event.
func (p *pass) conclude(e *event, f fate, err error) {
	e.fate = f
	if err != nil {
		p.log.Warn("event not put back: its dead letter stays for the next Redrive", slog.String("id", e.id), slog.Any("error", err))
		if p.first == nil {
			p.first = err
		}
	}
	for i, l := range e.letters {
		p.tally.count(f, i > 0)
		p.settle(l)
	}
}

// settle tells the broker of a letter what can be told by now. When that gets
// lost, the letter comes again, here or to the next Redrive.
func (p *pass) settle(l *letter) {
	switch l.event.fate {
	case open:
		return
	case stored:
		_ = l.settler.Ack()
	case kept, failed:
		p.leave(l.id, l.settler)
	}
	l.settler = nil
}

// leave lets a letter come again, and makes room for others where that can be said.
// It comes later the more there are, so that they leave the broker time for what is
// still to come.
func (p *pass) leave(id identity, s transport.Settler) {
	if p.session.Conn.Features().Nak {
		p.left[id] = s
		_ = s.Nak(p.ackWait + time.Duration(len(p.left))*time.Millisecond)
	}
}

// release lets the next Redrive have at once what was left. The intake has ended by
// then.
func (p *pass) release() {
	for _, s := range p.left {
		_ = s.Nak(0)
	}
}

// land ends the wait for what is on its way, and acknowledges what is stored. The
// rest is not counted: the next Redrive has it.
func (p *pass) land(cause error) {
	for _, e := range p.events {
		if e.fate == open {
			e.publish.GiveUp(cause)
		}
	}
	for p.flying > 0 {
		for _, o := range p.desk.outcomes() {
			if o.err != nil {
				p.flying--
				continue
			}
			p.settled(o.event, nil)
		}
		if p.flying > 0 {
			<-p.desk.wake
		}
	}
}

// failure is the error for what could not be put back.
func (p *pass) failure() error {
	if p.first == nil {
		return nil
	}
	return fmt.Errorf("%d of %d could not be put back, the first since: %w", p.tally.far().Failed, len(p.letters), p.first)
}
