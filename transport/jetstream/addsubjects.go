package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

const (
	// maxAdded is how many subjects a client adds by itself. One that publishes to more of them
	// makes them up, such as one for each order, and needs a pattern.
	maxAdded = 256
	// refusedFor is how long the reason is kept why a subject can't be added. It is told again
	// meanwhile, and the server is not asked.
	refusedFor = 5 * time.Second
	// rechecks is how often a client looks whether the stream still has the subjects that it
	// has added.
	rechecks = 8
)

// recheckPauses spaces out the looks: the last one comes about 40 s after the addition.
var recheckPauses = backoff.Policy{First: 250 * time.Millisecond, Max: 16 * time.Second}

// subjectAdder adds the subjects that are used to the stream, for a connection that may. All
// that are asked for at a time are added together. The zero value is ready.
type subjectAdder struct {
	mu       sync.Mutex
	waiting  []*subjectRequest // not begun yet
	adding   bool              // a goroutine of addRequested runs
	added    []string          // by this client: they are added again if they are gone
	refusals map[string]refusal
	looking  bool // a goroutine of lookAgain runs
	looks    int  // since the last addition
}

// subjectRequest is a subject that is to be added.
type subjectRequest struct {
	subject string
	done    chan struct{}
	err     error // written before done is closed
}

// refusal is why a subject could not be added.
type refusal struct {
	err   error
	until time.Time
}

// Takes implements [transport.SubjectAdder].
func (c *conn) Takes(subject string) bool { return !c.options.addsSubjects() || c.takes(subject) }

// AddSubject implements [transport.SubjectAdder].
func (c *conn) AddSubject(ctx context.Context, subject string) error {
	if c.Takes(subject) {
		return nil
	}
	r, err := c.requestSubject(subject)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return await.Cause(ctx)
	case <-c.Done():
		return c.Err()
	}
}

// requestSubject has the subject added, and does not wait. It returns an error if the subject
// was refused a moment ago, or is none that a client adds by itself.
func (c *conn) requestSubject(subject string) (*subjectRequest, error) {
	a := &c.adder
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(subject); err != nil {
		return nil, err
	}
	if err := a.check(subject); err != nil {
		return nil, c.lacksBecause(subject, err)
	}
	for _, r := range a.waiting {
		if r.subject == subject {
			return r, nil
		}
	}
	r := &subjectRequest{subject: subject, done: make(chan struct{})}
	a.waiting = append(a.waiting, r)
	if !a.adding {
		a.adding = true
		c.background(c.addRequested)
	}
	return r, nil
}

// refusal returns why the subject was refused a moment ago, or nil. It is called with a.mu held.
func (a *subjectAdder) refusal(subject string) error {
	refused, ok := a.refusals[subject]
	if !ok {
		return nil
	}
	if time.Now().After(refused.until) {
		delete(a.refusals, subject)
		return nil
	}
	return refused.err
}

// beginsWild reports whether a pattern begins with a wildcard.
func beginsWild(pattern string) bool {
	return strings.HasPrefix(pattern, "*") || strings.HasPrefix(pattern, ">")
}

// check returns why a client does not add the subject by itself. It is called with a.mu held.
func (a *subjectAdder) check(subject string) error {
	first, _, _ := strings.Cut(subject, ".")
	switch {
	case beginsWild(subject):
		return errors.New("a pattern that begins with a wildcard would take in what everybody in the account publishes, so that the client does not add it by itself: " +
			"name the subjects that are meant with option Subjects")
	case strings.HasPrefix(first, "$"), first == "_INBOX":
		return errors.New("the servers themselves use such subjects, so that the client does not add it")
	case len(a.added) >= maxAdded && !slices.Contains(a.added, subject):
		return fmt.Errorf("this client has added %d subjects by itself, and adds no more: name a pattern that takes them in, such as %s.>, with option Subjects", maxAdded, first)
	default:
		return nil
	}
}

// addRequested adds what is asked for, until nothing is.
func (c *conn) addRequested() {
	ctx, cancel := c.whileUp()
	defer cancel()
	a := &c.adder
	for {
		a.mu.Lock()
		requests := a.waiting
		a.waiting = nil
		a.adding = len(requests) > 0
		a.mu.Unlock()
		if len(requests) == 0 {
			return
		}
		names := make([]string, 0, len(requests))
		for _, r := range requests {
			names = append(names, r.subject)
		}
		_, err := c.makeSureOfStream(ctx) // it may be gone, or have the subjects by now
		refused := make(map[string]error)
		if err != nil {
			err = c.explain(err)
		} else {
			refused, err = c.addSubjects(ctx, slices.DeleteFunc(slices.Clone(names), c.takes))
		}
		c.noteAdded(names, refused, err)
		for _, r := range requests {
			if r.err = refused[r.subject]; r.err == nil {
				r.err = err
			}
			close(r.done)
		}
	}
}

// noteAdded notes what became of an addition.
func (c *conn) noteAdded(names []string, refused map[string]error, err error) {
	a := &c.adder
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refusals == nil || len(a.refusals) > maxAdded {
		a.refusals = make(map[string]refusal)
	}
	for _, name := range names {
		switch {
		case refused[name] != nil:
			a.refusals[name] = refusal{refused[name], time.Now().Add(refusedFor)}
		case err == nil && !slices.Contains(a.added, name):
			a.added = append(a.added, name)
		}
	}
	if a.looks = 0; !a.looking && len(a.added) > 0 {
		a.looking = true
		c.background(c.lookAgain)
	}
}

// lookAgain looks a few times whether the stream still has what this client has added, and
// adds again what it has not: who updates the stream without the lock may have undone it.
func (c *conn) lookAgain() {
	ctx, cancel := c.whileUp()
	defer cancel()
	a := &c.adder
	for {
		a.mu.Lock()
		a.looks++
		pause := recheckPauses.Delay(a.looks)
		a.looking = a.looks <= rechecks
		a.mu.Unlock()
		if !a.looking {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		_, _ = c.findStream(ctx) // what it can't find out, the next look will
	}
}

// used returns the subjects that this client needs, as far as it has to see to them itself:
// those that it has added, and those that it listens to.
func (c *conn) used() []string {
	if !c.options.addsSubjects() {
		return nil
	}
	c.adder.mu.Lock()
	names := slices.Clone(c.adder.added)
	c.adder.mu.Unlock()
	for _, s := range c.subscriptions() {
		names = append(names, s.config.Subject)
	}
	return names
}

// restoreSubjects has the subjects added that this client uses and the stream, as it was last
// seen, has not. It does not wait.
func (c *conn) restoreSubjects() {
	for _, name := range c.used() {
		if !c.takes(name) {
			_, _ = c.requestSubject(name) // who uses it is told
		}
	}
}

// addSubjects adds the subjects to the stream. refused says of each that can't be added why;
// err is why it could not be found out.
func (c *conn) addSubjects(ctx context.Context, names []string) (refused map[string]error, err error) {
	refused = make(map[string]error)
	if len(names) == 0 {
		return refused, nil
	}
	err = c.addTogether(ctx, names)
	if err == nil || !errors.Is(err, transport.ErrInvalid) {
		return refused, err
	}
	if len(names) == 1 {
		refused[names[0]] = err
		return refused, nil
	}
	for _, name := range names { // one that is refused must not keep the others out
		if err := c.addTogether(ctx, []string{name}); errors.Is(err, transport.ErrInvalid) {
			refused[name] = err
		} else if err != nil {
			return refused, err
		}
	}
	return refused, nil
}

// addTogether adds the subjects to the stream, all or none.
func (c *conn) addTogether(ctx context.Context, names []string) error {
	unlock := c.lockUpdates(ctx)
	defer unlock()
	stream, err := request(ctx, c, func(ctx context.Context) (js.Stream, error) { return c.js.Stream(ctx, c.cfg.ClusterID) })
	if err != nil {
		return c.explain(err)
	}
	c.seen(stream.CachedInfo())
	return c.updateSubjects(ctx, stream.CachedInfo().Config, names)
}

// updateSubjects adds the subjects to those in config, which was just read.
func (c *conn) updateSubjects(ctx context.Context, config js.StreamConfig, names []string) error {
	lacks := lacking(config.Subjects, names)
	if len(lacks) == 0 {
		return nil
	}
	for _, name := range lacks {
		if other, crosses := crossing(config.Subjects, name); crosses {
			remedy := "name the subjects that are meant with option Subjects"
			if both := widened(other, name); !beginsWild(both) { // which would be refused
				remedy = fmt.Sprintf("option Subjects(%q) gives it one that takes in both", both)
			}
			return c.lacksBecause(name, fmt.Errorf("the stream has %s, and neither takes in all of the other, so that it can't have both: %s", other, remedy))
		}
	}
	config.Subjects = union(config.Subjects, lacks)
	info, err := c.updateStream(ctx, config)
	if err == nil {
		c.seen(info)
		c.log.Info("subjects added to the stream", slog.String("stream", config.Name), slog.Any("added", lacks))
		return nil
	}
	config.Subjects = lacks // which the error is about
	err = c.explainConfig(ctx, err, config)
	if !errors.Is(err, transport.ErrForbidden) {
		err = c.explain(err)
	}
	if errors.Is(err, transport.ErrForbidden) {
		return c.mayNotAdd(lacks, err)
	}
	return err
}

// mayNotAdd returns the error of subjects that the client may not add.
func (c *conn) mayNotAdd(names []string, err error) error {
	return fmt.Errorf("%w: stream %q lacks %s, and client %q may not change the stream: ask who manages it to add the subject, or to grant this client permission "+
		"to publish to %sSTREAM.UPDATE.%s: %w",
		transport.ErrInvalid, c.cfg.ClusterID, strings.Join(names, ", "), c.cfg.ClientID, c.prefix, c.cfg.ClusterID, err)
}

func (c *conn) lacksBecause(subject string, why error) error {
	return fmt.Errorf("%w: stream %q lacks subject %q: %w", transport.ErrInvalid, c.cfg.ClusterID, subject, why)
}

// updateStream gives the stream another configuration.
func (c *conn) updateStream(ctx context.Context, config js.StreamConfig) (*js.StreamInfo, error) {
	stream, err := requestUnlessForbidden(ctx, c, "STREAM.UPDATE."+config.Name, func(ctx context.Context) (js.Stream, error) {
		return c.js.UpdateStream(ctx, config)
	})
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
