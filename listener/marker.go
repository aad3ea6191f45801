package listener

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

const (
	// firstMarkInterval is after what time a mark is renewed; then it doubles. A handler that
	// hangs for a day stores some 4000 small marks.
	firstMarkInterval   = time.Second
	longestMarkInterval = 20 * time.Second

	// markTimeout bounds the wait for a mark to be stored, or for the marks to be read.
	markTimeout = 10 * time.Second
	// promptly is how long a mark may take to be stored and to come back while nothing is
	// wrong with the server. What takes longer may have kept others from renewing their marks.
	promptly = time.Second
	// maxWatchTries bounds how often it is watched anew for that whether they live.
	maxWatchTries = 3

	// markPause is for how long no mark is stored after one could not be.
	markPause = time.Minute

	// markAge is how far back the marks are read: also a job that runs once a week is to give up
	// what ends it.
	markAge = schedule.MaxMarkAge
	// marksInFlight is how many marks the broker sends at a time.
	marksInFlight = 256
	marksAckWait  = 30 * time.Second
)

// errTakesLong is why it is not known which processes have ended.
var errTakesLong = errors.New("the marks that are stored did not come in time")

// marker stores the marks of a client's listeners on one subject, and reads those of all. It is
// made at the first suspect event, and keeps its subscription until the client is closed: a
// Listen may be shorter than it takes to read the marks. It is safe for concurrent use.
type marker struct {
	core    *core // of the listener that had the first one
	subject string
	listen  string // names the marker

	mu         sync.Mutex
	marks      *schedule.Marks
	number     uint64         // of the latest mark
	heard      uint64         // the highest number of its own marks that has come back
	came       chan struct{}  // closed, and made anew, when a mark comes
	running    []runningEvent // those that the latest mark names
	sub        transport.Subscription
	upToDate   bool               // what was stored before sub was opened has come
	opening    *openingSub        // nil: sub is not being opened
	renewal    *time.Timer        // of the mark, as long as something runs
	interval   time.Duration      // after which it is due
	watched    map[string]watched // by event: those of which it is not known yet whether they may run
	interrupts int                // how often the connection was lost
	failed     error              // why the latest mark could not be stored,
	resumes    time.Time          // and from when on it is tried again
}

// watched is an event that several processes have marked, which may have ended.
type watched struct {
	since time.Time // from then on their marks would have been heard
	tries int       // how often that began anew
}

// maxWatched bounds how many events are watched.
const maxWatched = 1024

// openingSub is a subscription that is being opened, and is brought up to date.
type openingSub struct {
	done chan struct{}
	err  error // written before done is closed
}

// marker returns the client's marker of that subject.
func (c *core) marker(subject subjects.Subject) *marker {
	type key subjects.Subject
	m, _ := c.session.Shared.LoadOrStore(key(subject), &marker{
		core: c, subject: string(subject), listen: rand.Text(),
		marks: schedule.NewMarks(c.session.Process(), maxEndedProcesses), watched: make(map[string]watched), came: make(chan struct{}),
	})
	return m.(*marker) //nolint:forcetypeassert // nothing else has such a key
}

// begin says that an event is about to run, unless so many processes have ended while they ran
// it that it must not run, or that is not known yet: it returns what is known of those. An
// error means that no mark is stored.
func (m *marker) begin(ctx context.Context, e runningEvent) (j schedule.Judgement, err error) {
	m.mu.Lock()
	failed, resumes, interrupts := m.failed, m.resumes, m.interrupts
	m.mu.Unlock()
	if failed != nil && time.Now().Before(resumes) {
		return j, failed
	}
	j, err = m.judge(ctx, e.ID)
	if err == nil && !j.Crashes && j.Until.IsZero() {
		err = m.run(ctx, e)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.interrupts == interrupts && ctx.Err() == nil {
		m.failed, m.resumes = err, time.Now().Add(markPause)
	}
	return j, err
}

// interrupt says that the connection was lost. What fails for that may be possible once it is
// back, and others may have been kept from renewing their marks, too.
func (m *marker) interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.interrupts++
	m.failed = nil
	clear(m.watched)
}

// judge finds out which processes have ended while they ran an event. If there may be so many
// that the event would be given up, it takes as long as it takes to know that they don't live:
// the judgement says when to ask again.
func (m *marker) judge(ctx context.Context, event string) (j schedule.Judgement, err error) {
	if err := m.subscribe(ctx); err != nil {
		return j, err
	}
	m.mu.Lock()
	w, watches := m.watched[event]
	m.mu.Unlock()
	if !watches {
		w.since = time.Now()
	}
	if j = m.judgement(event, w); !j.Crashes && j.Until.IsZero() {
		m.unwatch(event)
		return j, nil
	}
	asked := time.Now()
	if err := m.catchUp(ctx); err != nil {
		return j, err
	}
	switch j = m.judgement(event, w); {
	case !watches: // from now on their marks are heard
		return m.watch(event, watched{since: time.Now()}), nil
	case !j.Until.IsZero():
		return j, nil
	case j.Crashes && time.Since(asked) > promptly && w.tries < maxWatchTries:
		return m.watch(event, watched{time.Now(), w.tries + 1}), nil
	}
	m.unwatch(event)
	if j.Crashes && time.Since(asked) > promptly {
		return j, errTakesLong
	}
	return j, nil
}

func (m *marker) judgement(event string, w watched) schedule.Judgement {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.marks.Judge(event, w.since, time.Now())
}

// watch begins to watch an event, and returns when to ask again.
func (m *marker) watch(event string, w watched) schedule.Judgement {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.watched) >= maxWatched {
		clear(m.watched)
	}
	m.watched[event] = w
	return m.marks.Judge(event, w.since, time.Now())
}

func (m *marker) unwatch(event string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watched, event)
}

// subscribe sees to it that the marks come, and returns when all that are stored are here. What
// it has begun goes on when ctx is done: the next one needs it, too.
func (m *marker) subscribe(ctx context.Context) error {
	if err := subjects.Valid(m.subject); err != nil {
		return fmt.Errorf("%w subject: shorten the name of the queue group or of the event's subject: %w", transport.ErrInvalid, err)
	}
	m.mu.Lock()
	if m.sub != nil && m.upToDate {
		select {
		case <-m.sub.Done():
			m.upToDate = false
		default:
			m.mu.Unlock()
			return nil
		}
	}
	o := m.opening
	if o == nil {
		o = &openingSub{done: make(chan struct{})}
		m.opening = o
		go m.open(o) //nolint:gosec // G118: it goes on when ctx is done, see above
	}
	m.mu.Unlock()
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return await.Cause(ctx)
	}
}

// open opens the subscription, and brings it up to date.
func (m *marker) open(o *openingSub) {
	o.err = m.openSub()
	if o.err == nil {
		o.err = m.catchUp(context.Background())
	}
	m.mu.Lock()
	m.opening, m.upToDate = nil, o.err == nil
	m.mu.Unlock()
	close(o.done)
}

// openSub opens the subscription, unless it is open.
func (m *marker) openSub() error {
	m.mu.Lock()
	sub := m.sub
	m.mu.Unlock()
	if sub != nil && sub.Err() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), markTimeout)
	defer cancel()
	if _, err := m.store(ctx); err != nil { // says at once what is wrong with the subject
		return err
	}
	config := transport.SubscribeConfig{Subject: m.subject, Start: transport.Ago(markAge), AckWait: marksAckWait, MaxInFlight: marksInFlight}
	sub, err := await.DoWithGrace(ctx, func(ctx context.Context) (transport.Subscription, error) {
		return m.core.session.Conn.Subscribe(ctx, config, m.hear)
	}, closeSubscription)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sub = sub
	return nil
}

func closeSubscription(sub transport.Subscription) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = await.WithGrace(ctx, sub.Close) // its client may have ended
}

// catchUp stores a mark, and waits until it comes back: then all that was stored before has
// come.
func (m *marker) catchUp(ctx context.Context) error {
	number, err := m.store(ctx)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(markTimeout)
	defer timeout.Stop()
	for {
		m.mu.Lock()
		came, upToDate, sub := m.came, m.heard >= number, m.sub
		m.mu.Unlock()
		if upToDate {
			return nil
		}
		select {
		case <-came:
		case <-timeout.C:
			return errTakesLong
		case <-sub.Done():
			return sub.Err()
		case <-ctx.Done():
			return await.Cause(ctx)
		}
	}
}

// hear takes in a mark that is stored.
func (m *marker) hear(d transport.Delivery) {
	if mark, ok := readMark(&d); ok {
		m.mu.Lock()
		m.marks.Hear(mark, time.Now())
		if mark.Listen == m.listen {
			m.heard = max(m.heard, mark.Number)
		}
		close(m.came)
		m.came = make(chan struct{})
		m.mu.Unlock()
	}
	if d.Settler.Ack() != nil {
		d.Settler.Release()
	}
}

// run stores a mark that names the event, and sees to it that it is renewed. If ctx is done
// while the mark is on its way, run waits for what becomes of it: a mark that is stored has to be
// taken back.
func (m *marker) run(ctx context.Context, e runningEvent) error {
	if ctx.Err() != nil {
		return await.Cause(ctx)
	}
	storing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(promptly, cancel) })
	defer stop()
	m.mu.Lock()
	m.running = append(m.running, e)
	m.interval = firstMarkInterval
	m.renewLater() // it may be long until the renewal of another event, whose interval was longer
	m.mu.Unlock()
	_, err := m.store(storing)
	if err == nil {
		return nil
	}
	m.forget(e)
	if errors.Is(err, transport.ErrOutcomeUnknown) { // it may be stored, and the next one counts in its place
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), promptly)
		defer cancel()
		_, _ = m.store(soon)
	}
	return err
}

// renewLater stores the mark anew after its interval, if an event still runs then. The next
// interval is twice as long, up to the longest. It is called with m.mu held.
func (m *marker) renewLater() {
	if m.renewal != nil {
		m.renewal.Stop()
	}
	if len(m.running) == 0 {
		return
	}
	m.renewal = time.AfterFunc(m.interval, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.running) == 0 {
			return
		}
		m.interval = min(2*m.interval, longestMarkInterval)
		mark := m.nextMark()
		m.mu.Unlock()
		_ = m.publish(context.Background(), mark) // if it is not stored, the next one may be
		m.mu.Lock()
		m.renewLater()
	})
}

// end stores a mark that does not name the event any more.
func (m *marker) end(ctx context.Context, e runningEvent) error {
	m.forget(e)
	m.mu.Lock()
	mark := m.nextMark()
	m.mu.Unlock()
	return m.publish(ctx, mark)
}

func (m *marker) forget(e runningEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := slices.Index(m.running, e); at >= 0 {
		m.running = slices.Delete(m.running, at, at+1)
	}
	if len(m.running) == 0 && m.renewal != nil {
		m.renewal.Stop()
	}
}

// store stores a mark of what runs, the latest of this Listen, and returns its number.
func (m *marker) store(ctx context.Context) (number uint64, err error) {
	m.mu.Lock()
	mark := m.nextMark()
	m.mu.Unlock()
	return mark.Number, m.publish(ctx, mark)
}

// nextMark makes the mark that counts from now on, whenever it is stored. It is called with
// m.mu held.
func (m *marker) nextMark() mark {
	m.number++
	mark := mark{
		Process: m.core.session.Process(), Listen: m.listen, Number: m.number, ClientID: m.core.clientID, Time: time.Now().UTC(),
		Events: slices.Clone(m.running),
	}
	if len(m.running) > 0 {
		mark.RenewedIn = m.interval.Seconds()
	}
	return mark
}

func (m *marker) publish(ctx context.Context, mark mark) error {
	data, err := codec.JSON{}.Encode(&mark)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	return m.core.session.Publish(ctx, transport.Message{
		Subject: m.subject, ID: m.listen + "/" + strconv.FormatUint(mark.Number, 10), Data: data,
		Header: transport.Header{"Content-Type": {codec.JSON{}.ContentType()}},
	})
}
