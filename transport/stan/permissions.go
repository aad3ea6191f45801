package stan

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport/internal/natsconn"
)

// permissions is the part of the shell about permissions that are missing.
type permissions struct {
	unconfirmable atomic.Pointer[error] // why no publish would be confirmed; nil: nothing is known against it

	teller natsconn.Teller

	mu      sync.Mutex
	missing natsconn.Missing[need]
	needs   map[string]need                   // by NATS subject: of subscriptions, and of what is tried
	open    map[string][]*guardedSubscription // the subscriptions, by channel
	trying  bool                              // a goroutine tries what is missing
	early   earlyViolations
}

// earlyViolations are the latest that were heard before the supervisor had the session.
type earlyViolations struct {
	sessionNo uint64
	all       []natsconn.Violation
}

// mostEarly bounds the early violations: a session that is being begun sends few messages.
const mostEarly = 64

// checkWait bounds a check of what was refused. A link that is dead is noticed earlier.
const checkWait = 5 * time.Second

// checkRefusals has the outbox learn which publishes the NATS server has refused. The writer
// calls it, so that nothing is published meanwhile.
func (c *conn) checkRefusals(session stanSession, epoch uint64) {
	ctx, cancel := context.WithTimeout(c.ctx, checkWait)
	defer cancel()
	err := session.checkRefusals(ctx)
	c.step(func(sup *supervisor) { sup.onRefusalsChecked(epoch, err) })
}

// violated takes in that the NATS server has refused something to that session.
func (c *conn) violated(sessionNo uint64, v natsconn.Violation) {
	c.mu.Lock()
	session, _ := c.supervisor.session.(*guardedSession)
	current := c.supervisor.sessionNo
	c.mu.Unlock()
	switch {
	case sessionNo != current: // nobody uses the session any more
	case session == nil:
		c.permissions.keepEarly(sessionNo, v)
	default:
		c.refused(session, sessionNo, v)
	}
}

func (p *permissions) keepEarly(sessionNo uint64, v natsconn.Violation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.early.sessionNo != sessionNo {
		p.early = earlyViolations{sessionNo: sessionNo}
	}
	if len(p.early.all) < mostEarly {
		p.early.all = append(p.early.all, v)
	}
}

// takeEarly takes in what was refused before the supervisor had the session.
func (c *conn) takeEarly(sessionNo uint64) {
	p := &c.permissions
	p.mu.Lock()
	var all []natsconn.Violation
	if p.early.sessionNo == sessionNo {
		all, p.early.all = p.early.all, nil
	}
	p.mu.Unlock()
	for _, v := range all {
		c.violated(sessionNo, v)
	}
}

// unknownWait is how long an inbox may be unknown: a subscription is about to be registered.
const unknownWait = 200 * time.Millisecond

// refused finds out what it is that the NATS server has refused.
func (c *conn) refused(session *guardedSession, sessionNo uint64, v natsconn.Violation) {
	if subject, ok := strings.CutPrefix(v.Subject, session.prefix+"."); ok && !v.Subscribe {
		c.step(func(sup *supervisor) { sup.onForbidden(sessionNo, subject, v.Missing(v.Subject)) })
		return
	}
	n, known := c.permissions.needOf(v.Subject)
	switch {
	case known:
	case v.Subscribe && strings.HasPrefix(v.Subject, stan.DefaultACKPrefix+"."):
		n = need{kind: needConfirmations}
	case !v.Subscribe && v.Subject == session.subjects.ping:
		n = need{kind: needPings}
	case !v.Subscribe && session.subjects.takes(v.Subject):
		return // the error of the request says so
	default:
		c.later(unknownWait, func() { c.noteMissing(c.permissions.unknownNeed(v), v) })
		return
	}
	c.noteMissing(n, v)
}

func (p *permissions) needOf(subject string) (n need, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known = p.needs[subject]
	return n, known
}

// unknownNeed returns what an inbox is needed for. One that is no subscription's is stan.go's,
// or the server's, in which it awaits answers to its heartbeats.
func (p *permissions) unknownNeed(v natsconn.Violation) need {
	n, known := p.needOf(v.Subject)
	switch {
	case known:
		return n
	case v.Subscribe:
		return need{kind: needAnswers}
	default:
		return need{kind: needHeartbeats}
	}
}

// noteMissing takes in that a permission is missing. It is tried again until it is there.
func (c *conn) noteMissing(n need, v natsconn.Violation) {
	p := &c.permissions
	p.mu.Lock()
	p.missing.Note(n, v, c.epoch.Load())
	if n.kind == needConfirmations { // nobody needs them who does not publish
		_, err := p.missing.Lacks(n)
		p.unconfirmable.Store(&err)
	} else {
		p.missing.Show(n)
	}
	p.teller.Add(p.missing.TakeEvents()...)
	begin := !p.trying
	p.trying = true
	p.mu.Unlock()
	p.teller.Tell(c.tell)
	if begin {
		c.background(c.tryPermissions)
	}
}

// refuseUnconfirmable returns an error if a publish would not be confirmed.
func (c *conn) refuseUnconfirmable() error {
	p := &c.permissions
	err := p.unconfirmable.Load()
	if err == nil {
		return nil
	}
	p.mu.Lock()
	p.missing.Show(need{kind: needConfirmations})
	p.teller.Add(p.missing.TakeEvents()...)
	p.mu.Unlock()
	p.teller.Tell(c.tell)
	return fmt.Errorf("the confirmation would not be received: %w", *err)
}

// noteOpen registers a subscription that was opened, for what it needs.
func (p *permissions) noteOpen(channel string, inner stan.Subscription) {
	sub, ok := inner.(*guardedSubscription)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.needs == nil {
		p.needs, p.open = make(map[string]need), make(map[string][]*guardedSubscription)
	}
	p.forgetClosed(channel)
	events, acks := inboxesOf(sub)
	p.needs[events], p.needs[acks] = need{needEvents, channel}, need{needAcks, channel}
	p.open[channel] = append(p.open[channel], sub)
}

// forgetClosed is called with the lock held.
func (p *permissions) forgetClosed(channel string) {
	p.open[channel] = slices.DeleteFunc(p.open[channel], func(sub *guardedSubscription) bool {
		if sub.IsValid() {
			return false
		}
		events, acks := inboxesOf(sub)
		delete(p.needs, events)
		delete(p.needs, acks)
		return true
	})
	if len(p.open[channel]) == 0 {
		delete(p.open, channel)
	}
}

// tryPermissions tries the permissions that are missing until none is.
func (c *conn) tryPermissions() {
	for {
		select {
		case <-time.After(natsconn.TryAgain):
		case <-c.ctx.Done():
			return
		}
		if c.tryOnce() {
			return
		}
	}
}

// tryOnce tries the permissions that are missing. It reports whether none is.
func (c *conn) tryOnce() (none bool) {
	c.mu.Lock()
	session, _ := c.supervisor.session.(*guardedSession)
	up, epoch := c.supervisor.phase == phaseUp, c.supervisor.epoch
	wanted := make(map[string]bool)
	for sub := range c.supervisor.subscriptions {
		wanted[sub.shell.config.Subject] = true
	}
	c.mu.Unlock()

	p := &c.permissions
	p.mu.Lock()
	p.missing.EndUnwanted(func(n need) bool { return n.channel == "" || wanted[n.channel] })
	p.teller.Add(p.missing.TakeEvents()...)
	tries := p.missing.Tries()
	p.trying = len(tries) > 0
	p.mu.Unlock()
	p.teller.Tell(c.tell)
	if len(tries) == 0 || session == nil || !up {
		return len(tries) == 0
	}
	var inboxes []string
	for n := range tries {
		if inbox, tried := c.try(session, n); !tried {
			delete(tries, n)
		} else if inbox != "" {
			inboxes = append(inboxes, inbox)
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, checkWait)
	defer cancel()
	err := session.checkRefusals(ctx)
	p.mu.Lock()
	for _, inbox := range inboxes {
		delete(p.needs, inbox)
	}
	if err != nil || c.epoch.Load() != epoch {
		p.mu.Unlock()
		return false
	}
	_, reconnect := p.missing.Tried(tries, epoch)
	if _, err := p.missing.Lacks(need{kind: needConfirmations}); err == nil {
		p.unconfirmable.Store(nil)
	}
	p.teller.Add(p.missing.TakeEvents()...)
	p.mu.Unlock()
	p.teller.Tell(c.tell)
	if reconnect { // the server has ended subscriptions, and nats.go makes them again when it reconnects
		_ = session.nc.ForceReconnect()
	}
	return false
}

// try sends what the NATS server refuses if the permission is still missing. It returns the
// inbox that it has subscribed to, if any, and false if there is nothing to send now.
func (c *conn) try(session *guardedSession, n need) (inbox string, tried bool) {
	p := &c.permissions
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.needs == nil {
		p.needs, p.open = make(map[string]need), make(map[string][]*guardedSubscription)
	}
	last, missing := p.missing.Lacks(n)
	switch {
	case missing == nil:
		return "", false
	case n.kind == needAcks:
		p.forgetClosed(n.channel)
		for _, sub := range p.open[n.channel] {
			_, acks := inboxesOf(sub)
			session.tryAck(acks, n.channel)
		}
		return "", len(p.open[n.channel]) > 0
	case n.Subscribes():
		switch n.kind {
		case needConfirmations:
			inbox = stan.DefaultACKPrefix + "." + rand.Text()
		case needAnswers:
			inbox = session.nc.NewInbox()
		default:
			inbox = nats.NewInbox() // as stan.go does
		}
		p.needs[inbox] = n
		session.trySubscribe(inbox)
		return inbox, true
	default:
		inbox = last.Subject
		p.needs[inbox] = n
		session.tryPublish(inbox)
		return inbox, true
	}
}
