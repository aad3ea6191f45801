package outbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sgtickets/common/internal/seeds"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// The simulation drives an outbox, under the policy of either broker, with a writer, a link
// that is cut and comes back, and a broker that stores, refuses and answers. What happens
// next is drawn from the seed: answers that are lost, late or doubled, links that are cut at
// any point, publishes that are abandoned at any point. In front of the broker stands a NATS
// server that takes or refuses what was written, in its order; see simpermissions_test.go.
// After the trouble all is delivered, and everything must be decided.

// The broker recognises a message ID for brokerWindow. What is on its way arrives within
// travelTime or not at all.
const (
	brokerWindow = 2 * time.Minute
	travelTime   = 10 * time.Second
	grace        = 200 * time.Millisecond
)

// mistake is one that is made on purpose: the simulation must find it.
type mistake int

const (
	noMistake        mistake = iota
	creditsLatest            // a negative answer is taken for the latest attempt's
	resendsOnSilence         // over NATS Streaming, which recognises nothing
	calledUnsent             // what has left is reported as not sent
	repeatsTooLong           // the policy's window is longer than the broker's
	missesReconnect          // the outbox is not told of one
	calledRefused            // an answer that leaves the outcome open is taken for a refusal
	ignoresPong              // a check ends before the NATS server has taken or refused everything
	ignoresCallbacks         // a check ends before the outbox was told of all that was refused
)

func (m mistake) String() string {
	return [...]string{
		"none", "crediting the latest attempt", "resending on silence", "calling unsent what has left", "repeating for too long",
		"missing a reconnect", "calling an open outcome a refusal", "not waiting for the PONG", "not waiting for the callbacks",
	}[m]
}

// simPublish is what is known of one publish.
type simPublish struct {
	name        string
	subject     string
	id          string
	ticket      transport.Ticket
	copies      int
	storedAt    time.Time
	decided     bool
	outcome     error
	abandoned   bool
	lastAttempt outbox.Attempt
	sentIn      int // the call of Connected after which it was sent last
	ambiguous   bool
}

// sentMessage is one attempt on its way to the broker; answer is one on its way back.
type sentMessage struct {
	publish *simPublish
	attempt outbox.Attempt
	at      time.Time
	link    int
}

type answer struct {
	sentMessage

	kind answerKind
}

type answerKind int

const (
	stored answerKind = iota
	refused
	refusedForNow
	ambiguous
)

type sim struct {
	permissions

	rand      *rand.Rand
	tell      seeds.Tell
	mistake   mistake
	jetStream bool
	out       *outbox.Outbox
	now       time.Time
	trouble   bool

	link      int  // number of the link that is or was there
	up        bool // it is there
	news      []func()
	told      int // how often Connected was called
	graceAt   time.Time
	tickAt    time.Time
	writing   *outbox.PendingPublish
	written   func() // ends the writing
	first     transport.Ticket
	publishes []*simPublish
	byName    map[string]*simPublish
	onTheWay  []sentMessage
	answers   []answer
}

func mustf(holds bool, format string, args ...any) {
	if !holds {
		seeds.Violatef(format, args...)
	}
}

func (s *sim) chance(percent int) bool { return s.rand.IntN(100) < percent }

func (s *sim) notef(format string, args ...any) {
	if s.tell != nil {
		s.tell(format, args...)
	}
}

func newSim(seed uint64, m mistake, tell seeds.Tell) *sim {
	s := &sim{
		rand: rand.New(rand.NewPCG(seed, 1)), tell: tell, mistake: m, jetStream: seed%2 == 1,
		now: time.Unix(0, 0), trouble: true, byName: make(map[string]*simPublish),
	}
	policy := outbox.Policy{MaxRetries: 3, Permissions: true}
	if s.jetStream {
		window := brokerWindow - travelTime
		if m == repeatsTooLong {
			window = time.Hour
		}
		policy = outbox.Policy{
			RepeatWindow: func() time.Duration { return window }, Silence: 2 * time.Second,
			RetryWait: 250 * time.Millisecond, RetryFor: 10 * time.Second, Permissions: true,
		}
	}
	s.out = outbox.New(policy)
	s.reconnect()
	return s
}

// decide takes in what the outbox has decided.
func (s *sim) decide(p *simPublish, err error) {
	s.notef("%s is decided: %v", p.name, err)
	mustf(!p.decided, "%s must be decided once", p.name)
	p.decided, p.outcome = true, err
	switch {
	case err == nil:
		mustf(p.copies > 0, "%s must be stored if the publisher is told so", p.name)
	case errors.Is(err, transport.ErrNotStored):
		mustf(p.copies == 0, "%s must not be stored if the publisher is told so", p.name)
	default:
		mustf(errors.Is(err, transport.ErrOutcomeUnknown), "%s must have an outcome that is known to publishers: %v", p.name, err)
		mustf(p.lastAttempt > 0, "%s was never sent, so that its outcome is known", p.name)
		mustf(p.abandoned || p.ambiguous || s.jetStream || p.lastAttempt > 1, "%s was sent once and answered, so that its outcome is known: %v", p.name, err)
	}
}

func (s *sim) publish() {
	p := &simPublish{name: fmt.Sprintf("p%d", len(s.publishes)+1), subject: []string{"c", "d"}[s.rand.IntN(2)]}
	if s.chance(70) {
		p.id = "id of " + p.name
	}
	data := []byte(p.name)
	ticket, err := s.out.Add(transport.Message{Subject: p.subject, ID: p.id, Data: data}, transport.ReceiptFunc(func(err error) { s.decide(p, err) }))
	mustf(err == nil, "the outbox must take %s: %v", p.name, err)
	data[0] = '!' // the caller has its buffer back
	p.ticket = ticket
	s.publishes = append(s.publishes, p)
	s.byName[p.name] = p
	s.setTick(2 * time.Second)
}

func (s *sim) setTick(after time.Duration) {
	if at := s.now.Add(after); after > 0 && (s.tickAt.IsZero() || at.Before(s.tickAt)) {
		s.tickAt = at
	}
}

// write is a step of the writer. It reports whether it did anything.
func (s *sim) write() bool {
	if s.writing != nil {
		s.written()
		return true
	}
	if s.checking != nil {
		return s.checking()
	}
	if s.out.CheckDue() {
		s.beginCheck()
		return true
	}
	pending, outcome := s.out.Next(s.now)
	if pending == nil {
		outcome.Tell()
		return outcome.Decided()
	}
	p, attempt := s.byName[string(pending.Message.Data)], pending.Attempt()
	mustf(p != nil && p.ticket == pending.Ticket(), "the data of %d must be as it was published", pending.Ticket())
	mustf(!p.decided, "%s must not be sent after it was decided", p.name)
	mustf(attempt == p.lastAttempt+1, "the attempts of %s must be counted", p.name)
	mustf(s.jetStream || attempt == 1 || p.sentIn != s.told, "%s must not be sent again on silence", p.name)
	if attempt == 1 {
		mustf(pending.Ticket() > s.first, "%s is sent first after a later publish was", p.name)
		s.first = pending.Ticket()
	}
	p.lastAttempt, p.sentIn = attempt, s.told
	s.writing = pending
	sent := sentMessage{p, attempt, s.now, s.link}
	leaves, told := s.up, s.told
	s.notef("%s is written, attempt %d, link %d: %v", p.name, attempt, s.link, leaves)
	if leaves {
		s.wire = append(s.wire, written{sent: sent})
	}
	s.written = func() {
		s.writing = nil
		s.out.Written(pending, !leaves || s.mistake == calledUnsent && s.trouble && s.chance(5))
		s.tellDecided()
		if !leaves && told == s.told {
			s.disconnected()
		}
	}
	return true
}

// serve lets the broker take in one message that is on its way.
func (s *sim) serve() bool {
	s.onTheWay = slices.DeleteFunc(s.onTheWay, func(m sentMessage) bool { return s.now.Sub(m.at) >= travelTime })
	if len(s.onTheWay) == 0 {
		return false
	}
	i := s.rand.IntN(len(s.onTheWay))
	m := s.onTheWay[i]
	s.onTheWay = slices.Delete(s.onTheWay, i, i+1)
	kind, stores := stored, true
	if s.trouble && s.chance(20) {
		kind = answerKind(1 + s.rand.IntN(3))
		stores = kind == ambiguous && s.chance(50)
	}
	p := m.publish
	if stores && s.recognises(p) {
		stores = false
	}
	if stores {
		p.copies++
		p.storedAt = s.now
		s.notef("%s is stored, attempt %d", p.name, m.attempt)
		mustf(!errors.Is(p.outcome, transport.ErrNotStored), "%s must not be stored after the publisher was told that it is not", p.name)
		mustf(p.copies == 1 || !s.jetStream, "%s must not be stored twice", p.name)
	}
	lost := s.trouble && (s.jetStream || !s.up || m.link != s.link) && s.chance(20)
	if !lost {
		s.answers = append(s.answers, answer{m, kind})
	}
	return true
}

func (s *sim) recognises(p *simPublish) bool {
	return s.jetStream && p.id != "" && p.copies > 0 && s.now.Sub(p.storedAt) < brokerWindow
}

// hear lets one answer arrive, maybe twice.
func (s *sim) hear() bool {
	if !s.up || len(s.answers) == 0 {
		return false
	}
	i := s.rand.IntN(len(s.answers))
	a := s.answers[i]
	if !s.trouble || s.chance(70) {
		s.answers = slices.Delete(s.answers, i, i+1)
	}
	p, attempt := a.publish, a.attempt
	s.notef("%s, attempt %d: answer %d", p.name, attempt, a.kind)
	if s.mistake == creditsLatest {
		attempt = p.lastAttempt
	}
	kind := a.kind
	if s.mistake == calledRefused && kind == ambiguous {
		kind = refused
	}
	cause := errors.New("refused")
	switch kind {
	case stored:
		s.out.Stored(p.ticket, attempt).Tell()
	case refused:
		s.out.NotStored(p.ticket, attempt, cause).Tell()
	case ambiguous:
		p.ambiguous = true
		s.out.Ambiguous(p.ticket, attempt, cause).Tell()
	case refusedForNow:
		awaited := s.out.Awaits(p.ticket, attempt)
		switch {
		case !s.out.RefusedForNow(p.ticket, attempt, s.now):
			s.out.NotStored(p.ticket, attempt, cause).Tell()
		case s.jetStream:
			s.setTick(250 * time.Millisecond)
		case awaited: // NATS Streaming: a new session sends it again
			s.cut()
			s.reconnect()
		}
	}
	s.tellDecided()
	return true
}

// cut ends the link. What is on its way, either way, arrives late or never.
func (s *sim) cut() {
	if !s.up {
		return
	}
	s.notef("link %d is cut", s.link)
	s.up = false
	s.cutWire()
	s.onTheWay = slices.DeleteFunc(s.onTheWay, func(sentMessage) bool { return s.chance(50) })
	s.answers = slices.DeleteFunc(s.answers, func(answer) bool { return s.chance(50) })
	s.news = append(s.news, s.disconnected)
}

func (s *sim) disconnected() {
	s.epoch++
	s.out.Disconnected()
}

func (s *sim) reconnect() {
	if s.up {
		return
	}
	s.link++
	s.up = true
	if s.mistake == missesReconnect && s.link > 1 && s.chance(20) {
		return
	}
	lateAnswers := !s.jetStream && s.chance(70)
	s.news = append(s.news, func() {
		s.told++
		s.epoch++
		s.graceAt = time.Time{}
		s.notef("the outbox is told of a connection")
		if s.out.Connected(lateAnswers) {
			s.graceAt = s.now.Add(grace)
		}
	})
}

// learn tells the outbox the next that has happened to the link.
func (s *sim) learn() bool {
	if len(s.news) == 0 {
		return false
	}
	news := s.news[0]
	s.news = s.news[1:]
	s.heard++
	news()
	return true
}

// pass lets time pass, and timers fire.
func (s *sim) pass(d time.Duration) {
	s.now = s.now.Add(d)
	if !s.graceAt.IsZero() && !s.now.Before(s.graceAt) {
		s.graceAt = time.Time{}
		if s.out.GraceOver() {
			s.graceAt = s.now.Add(grace)
		}
	}
	if !s.tickAt.IsZero() && !s.now.Before(s.tickAt) {
		s.tickAt = time.Time{}
		s.setTick(s.out.Tick(s.now))
	}
	if s.mistake == resendsOnSilence && s.chance(20) {
		s.out.Connected(false)
	}
}

func (s *sim) abandon() {
	if len(s.publishes) == 0 {
		return
	}
	p := s.publishes[s.rand.IntN(len(s.publishes))]
	if !p.decided {
		p.abandoned = true
		s.out.Abandon(p.ticket).Tell()
	}
}

// run is a whole run. It panics with a violation.
func (s *sim) run() {
	for range 100 + s.rand.IntN(400) {
		switch n := s.rand.IntN(100); {
		case n < 15:
			s.publish()
		case n < 38:
			s.write()
		case n < 51:
			s.serve()
		case n < 62:
			s.takeNext()
		case n < 75:
			s.hear()
		case n < 79:
			s.cut()
		case n < 84:
			s.reconnect()
		case n < 90:
			s.learn()
		case n < 91:
			s.abandon()
		case n < 92:
			s.changePermission()
		case n < 93:
			s.pass(time.Duration(s.rand.Int64N(int64(time.Minute))))
		default:
			s.pass(time.Duration(s.rand.Int64N(int64(500 * time.Millisecond))))
		}
	}
	s.notef("the trouble ends")
	s.trouble = false
	s.rest()
	s.cut()
	s.reconnect()
	for range 20 {
		s.rest()
		s.pass(time.Second)
	}
	s.finish()
}

// rest lets everything happen that can.
func (s *sim) rest() {
	s.reconnect()
	for n := 0; s.learn() || s.write() || s.takeNext() || s.serve() || s.hear(); n++ {
		mustf(n < 20_000, "it must come to rest")
	}
}

// finish checks that everything is decided that can be.
func (s *sim) finish() {
	for _, p := range s.publishes {
		if p.decided {
			continue
		}
		mustf(p.lastAttempt > 0, "%s was never sent, and there is a connection", p.name)
		mustf(s.jetStream && p.id == "", "%s is not decided", p.name)
		p.abandoned = true
		s.out.Abandon(p.ticket).Tell() // without an ID its answer may be lost, and it is not sent again
		mustf(p.decided, "%s was abandoned, and is not decided", p.name)
	}
	mustf(len(s.out.Tickets()) == 0, "nothing may be left")
	select {
	case <-s.out.Empty():
	default:
		mustf(false, "the outbox must be empty")
	}
}

func simulate(seed uint64, m mistake, tell seeds.Tell) string {
	return seeds.Play(func() { newSim(seed, m, tell).run() })
}

// TestSimulation runs many seeds: SEEDS of them, or SEED alone, and tells its story.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 2000, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noMistake, tell) })
}

// TestSeedsReplay: a seed is a story that can be told again.
func TestSeedsReplay(t *testing.T) {
	t.Parallel()
	seeds.Replay(t, 100, func(seed uint64, tell seeds.Tell) string { return simulate(seed, noMistake, tell) })
}

// TestTheSimulationHasTeeth: each mistake is found, and soon.
func TestTheSimulationHasTeeth(t *testing.T) {
	t.Parallel()
	for m := creditsLatest; m <= ignoresCallbacks; m++ {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			seeds.Find(t, 2000, func(seed uint64) string { return simulate(seed, m, nil) })
		})
	}
}
