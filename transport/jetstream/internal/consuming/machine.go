// Package consuming decides what a subscription to a JetStream pull consumer does:
// what it asks the server for, how many messages it may hold, what happens when the
// consumer is deleted or the stream is made anew, and how it ends.
//
// [Machine] is a pure state machine. It has no lock, no goroutine, no timer and no
// connection: what happened goes in, with the time; what is to be done comes out as
// effects. The shell around it is the subscription of package jetstream.
package consuming

import (
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/unproven"
)

const (
	// PullExpires is how long the server keeps a request for messages.
	PullExpires = time.Minute
	// Heartbeat is how often the server says that it still has a request. When two in
	// a row do not come, the server has lost the request.
	Heartbeat = 5 * time.Second

	// refusedWait is the shortest pause after the server has ended a request with an error.
	refusedWait = 250 * time.Millisecond
	// tellEvery is how often a trouble that goes on is reported again.
	tellEvery = time.Minute
)

// Config says what the subscription reads. It does not change.
type Config struct {
	Consumer string // the consumer's name
	Subject  string // what the subscription listens to
	Group    string // its queue group, for what is told
	Durable  string // its durable name, for what is told
	Shared   bool   // the members of a queue group read from the same consumer
	BindOnly bool   // the library may not create consumers

	// PerSubject is how many messages of the subject the stream keeps; 0: no such limit, or
	// Subject is a pattern.
	PerSubject uint64

	MaxInFlight int
	// Room returns how many unacknowledged messages are wanted now; nil: MaxInFlight.
	Room func() int
	// Startable returns how many are wanted of a consumer that delivers each message a limited
	// number of times; nil: Room.
	Startable func() int
	// Backoff returns how long to wait after the attempt-th attempt failed.
	Backoff func(attempt int) time.Duration
}

// Info is what the server says of a consumer.
type Info struct {
	Settings

	Created    time.Time // a consumer that was made anew has another time
	AckWait    time.Duration
	MaxBatch   int           // the most that one request may ask for; 0: any number
	MaxExpires time.Duration // the longest that a request may wait; 0: any time
	MaxDeliver int           // how often a message is delivered at most; 0: any number of times
	AckFloor   uint64        // the highest stream sequence below which all is acknowledged
	Delivered  uint64        // the highest stream sequence that was delivered
	Deliveries uint64        // the consumer sequence of the last delivery
	Pending    uint64        // how many messages of its subject it has not delivered

	Stream Bounds // of its stream, which was looked at after the consumer
}

// Bounds are the first and the last sequence of a stream.
type Bounds struct {
	Known bool   // false: the stream was not looked at
	First uint64 // 0: what is below was not removed by limits
	Last  uint64
}

// Stream is what the server says of a stream.
type Stream struct {
	Created      time.Time // a stream that was made anew has another time
	LastSequence uint64
	Stored       time.Time // when the message was stored that [FindStream] asked for; zero: it is not there
}

// Action is what an effect does.
type Action int

// The actions. Each comment says which fields of the effect belong to it, and which
// method takes the answer.
const (
	// OpenInbox opens an inbox for the answers of Round, and closes the inbox of the
	// round before once what is on its way to it has come. See [Machine.InboxClosed].
	OpenInbox Action = iota
	// CloseInbox closes the inbox of the current round in the same way.
	CloseInbox
	// Pull asks the consumer for Batch messages, to be sent to the inbox of Round.
	Pull
	// FindConsumer asks for the consumer's state. See [Machine.ConsumerFound].
	FindConsumer
	// CheckConsumer does the same, and finds out whether the consumer is what was asked
	// for. It is used with BindOnly. See [Machine.ConsumerFound].
	CheckConsumer
	// FindStream asks for the stream, which is created if it is gone and may be, and for
	// when its message Sequence was stored, unless that is 0. See [Machine.StreamFound].
	FindStream
	// CreateConsumer creates the consumer, to begin at Sequence, or with all that the
	// stream holds if Sequence is 0. See [Machine.ConsumerCreated].
	CreateConsumer
	// GiveBack sends a negative acknowledgement to Reply: the message is to come again after
	// Delay.
	GiveBack
	// SendAnswer sends Answer to Reply once more.
	SendAnswer
	// UseAckWait says that the consumer has another ack wait now, which is in Delay.
	UseAckWait
	// Tell reports Event to the owner of the connection.
	Tell
	// Log writes Text and Attrs at Level.
	Log
	// Drained says that nothing more can arrive.
	Drained
	// Closed says that all has been given back.
	Closed
)

// String returns the action's name in words.
func (a Action) String() string {
	return [...]string{
		"open inbox", "close inbox", "pull", "find consumer", "check consumer", "find stream", "create consumer",
		"give back", "send answer", "use ack wait", "tell", "log", "drained", "closed",
	}[a]
}

// Effect is something that the shell has to do. Effects are done one after the other,
// in their order.
type Effect struct {
	Do       Action
	Round    uint64
	Call     uint64 // the number that the answer is to carry
	Batch    int
	Expires  time.Duration // of Pull: how long the server keeps the request
	Beat     time.Duration // of Pull: how often the server says that it has the request
	Reply    string
	Answer   []byte
	Delay    time.Duration
	Sequence uint64
	Event    transport.Event
	Level    slog.Level
	Text     string
	Attrs    []slog.Attr
}

// Machine is the state of one subscription. It is made by [New], and used under one lock.
type Machine struct {
	config  Config
	effects []Effect
	stopped bool

	// The round of requests, see newRound.
	round    uint64
	open     int // how many inboxes are open, earlier rounds' included
	requests requests
	limits   limits
	heardAt  time.Time // when the server last said something about this round

	// Requests that the server ended with an error, see refused.
	refusals  int       // in a row
	retryAt   time.Time // when to ask again; zero: no request was refused in this round
	retryAsks bool      // the consumer's state is asked for before that
	warnedAt  time.Time

	// Messages, see Delivered.
	unacked  map[uint64]unacked // by stream sequence
	awaiting int                // how many of them await redelivery
	resume   resume
	epoch    uint64 // counts the streams that the sequences were of; the first is 1
	since    uint64 // the first round of the epoch

	// Answers to messages, see Answering.
	answers    unproven.Log[sentAnswer]
	unanswered bool // some may not have arrived: the link was lost, or one could not be sent

	// What the server said of the consumer and its stream.
	ackWait  time.Duration
	consumer time.Time // when the consumer was created
	stream   Stream
	other    bool // the stream is another one than that in which the consumer was
	restored bool // it is to be found out whether it was restored from a backup
	passed   passed
	lookedAt time.Time

	hindered  []hindrance // what was told
	waiting   bool        // at the last look there were messages that nobody had acknowledged
	begunAt   time.Time   // when the subscription began
	arrivedAt time.Time   // when a message came here last; zero: none did

	jumpedAt  time.Time // when the state was asked for since sequences were passed over
	lookAgain bool      // it is asked for once more when the answer is here

	// Questions to JetStream's API, see ask and heal. At most one of each is out.
	watchAt   time.Time // when to look whether the server is silent
	calls     uint64    // the number of the last question
	asked     asked
	asking    uint64 // the number of the question for the consumer's state; 0: none is out
	restarts  bool   // its answer begins a new round
	abandoned bool   // its answer is not used
	healing   healing
}

// New returns the machine of a subscription that has not begun.
func New(config Config) *Machine {
	return &Machine{
		config: config, unacked: make(map[uint64]unacked), epoch: 1, passed: passed{limit: config.PerSubject},
		answers: unproven.New[sentAnswer](2 * config.MaxInFlight), // what is given back makes room for more
	}
}

func (m *Machine) emit(e Effect) { m.effects = append(m.effects, e) }

// Effects returns what is to be done, and puts used, which the caller needs no more,
// in its place.
func (m *Machine) Effects(used []Effect) []Effect {
	todo := m.effects
	m.effects = used[:0]
	return todo
}

// Begin begins to receive from the consumer that the server has described. stream is
// when the stream was created.
func (m *Machine) Begin(now time.Time, info Info, stream time.Time) {
	if m.stopped { // while the consumer was looked for
		return
	}
	m.stream.Created = stream
	m.resume = resume{unseen: info.Delivered, last: info.Deliveries}
	m.passed.begin(info)
	m.lookedAt, m.begunAt = now, now
	m.learn(info)
	m.watchAt = now.Add(Heartbeat)
	m.since = 1
	m.newRound(now)
	m.pull(now)
}

// running reports whether the subscription receives.
func (m *Machine) running() bool { return m.round > 0 && !m.stopped }

// AckWait returns the ack wait that the consumer applies.
func (m *Machine) AckWait() time.Duration { return m.ackWait }

// Due returns when [Machine.Wake] is to be called; zero: never.
func (m *Machine) Due() time.Time {
	if !m.running() {
		return time.Time{}
	}
	due := m.watchAt
	for _, at := range []time.Time{m.retryAt, m.healing.retryAt} {
		if !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	return due
}

// Wake does what is due.
func (m *Machine) Wake(now time.Time) {
	if !m.running() {
		return
	}
	if at := m.healing.retryAt; !at.IsZero() && !now.Before(at) {
		m.findStream()
	}
	if !m.retryAt.IsZero() && !now.Before(m.retryAt) {
		m.retry(now)
	}
	if !now.Before(m.watchAt) {
		m.watchAt = now.Add(Heartbeat)
		m.watch(now)
	}
}

// watch asks for the consumer's state where the server may have lost the requests, where
// the resume position is out of date, and now and then.
func (m *Machine) watch(now time.Time) {
	silent := m.requests.outstanding > 0 && now.Sub(m.heardAt) > 2*Heartbeat
	if silent || m.resume.outdated || m.busy(now) || now.Sub(m.lookedAt) >= lookEvery {
		m.ask(silent)
	}
}

// Reconnected says that the link to the server was lost, and is back. Requests that were sent
// before are lost, and the consumer or the stream may be another one by now. A question that
// is out was lost, too: it is asked again at once under another number, and an answer that
// still comes to the earlier one is not used.
func (m *Machine) Reconnected(now time.Time) {
	m.unanswered = true
	if !m.running() {
		return
	}
	m.restart(now, "the connection was lost and is back")
	m.asking = 0
	if m.healing.phase != notHealing {
		m.healing.attempt = 0
		m.findStream()
		return
	}
	m.ask(false)
}

// Stop ends the intake: nothing is handed up any more. What arrives is given back.
func (m *Machine) Stop() {
	if m.stopped {
		return
	}
	m.stopped = true
	m.noteAsked() // the shell may ask once more, for AnswerAgain
	m.recovered(transport.ErrClosed)
	m.withdrawHindrances()
	// The server serves no request when nobody listens to the inbox.
	m.emit(Effect{Do: CloseInbox})
}

// InboxClosed says that nothing more can arrive in the inbox of one round.
func (m *Machine) InboxClosed() {
	m.open--
	if m.stopped && m.open == 0 {
		m.emit(Effect{Do: Drained})
	}
}

// Close gives back what was not settled, so that other members have it at once.
func (m *Machine) Close() {
	for _, sequence := range slices.Sorted(maps.Keys(m.unacked)) {
		if u := m.unacked[sequence]; !u.awaiting {
			m.emit(Effect{Do: GiveBack, Reply: u.reply})
		}
	}
	clear(m.unacked)
	m.awaiting = 0
	m.emit(Effect{Do: Closed})
}

func (m *Machine) log(level slog.Level, text string, attrs ...slog.Attr) {
	m.emit(Effect{Do: Log, Level: level, Text: text, Attrs: attrs})
}

// never is later than any sequence.
const never = math.MaxUint64
