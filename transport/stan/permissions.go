package stan

import (
	"context"
	"strings"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

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
	session, _ := c.supervisor.session.(*stanGoSession)
	current := c.supervisor.sessionNo
	c.mu.Unlock()
	if session == nil || current != sessionNo {
		return // the result of the dial says so, or nobody uses the session any more
	}
	if subject, ok := strings.CutPrefix(v.Subject, session.prefix+"."); ok && !v.Subscribe {
		c.step(func(sup *supervisor) { sup.onForbidden(sessionNo, subject, v.Missing(v.Subject)) })
		return
	}
	c.tell(transport.Event{Kind: transport.AsyncError, Err: v.Err})
}
