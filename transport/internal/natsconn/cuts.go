package natsconn

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

const (
	// brief is how long a connection lasts at most that counts as cut soon after it was made.
	brief = 5 * time.Second
	// freeCuts is after how many brief connections in a row the client begins to wait before it
	// reconnects.
	freeCuts = 2
	// often is how soon after one another cuts come of which the owner is told, and toldCuts how
	// many in a row. It is more than the time after which a server gives up a client that takes
	// nothing (write_deadline, 10 s by default).
	often    = 30 * time.Second
	toldCuts = 4
)

// hold spaces out the reconnects to a server that cuts the connection again and again.
var hold = backoff.Policy{First: 400 * time.Millisecond, Max: 4 * time.Second}

// reasonCut says what is wrong when the server cuts the connection again and again. A server
// does not tell a client that it is a slow consumer, only its own log.
const reasonCut = "the connection to the NATS server is cut again and again, soon after it is made. If the server's log says \"Slow Consumer\", the server had more to send " +
	"than the client took in time: raise the server's max_pending (64 MB by default) or write_deadline (10 s), or lower MaxInFlight, " +
	"so that MaxInFlight times the size of a message, of all listeners together, stays below max_pending"

// cuts counts how often the connection was cut soon after it was made, and decides how long to
// wait before the next attempt. It has no clock and no lock.
type cuts struct {
	up    bool
	since time.Time // when the connection was made
	brief int       // cuts in a row of brief connections
	often int       // cuts in a row within the time often
	waits bool      // the next attempt has to wait
}

func (c *cuts) connected(now time.Time) { c.up, c.since = true, now }

// cut says that the connection is gone. It may be told more than once.
func (c *cuts) cut(now time.Time) {
	if !c.up {
		return
	}
	c.up = false
	lasted := now.Sub(c.since)
	c.brief, c.often = c.brief+1, c.often+1
	if lasted >= brief {
		c.brief = 0
	}
	if lasted >= often {
		c.often = 0
	}
	c.waits = c.brief > freeCuts
}

// wait returns how long to wait before the attempt to reconnect that is about to be made; zero:
// as always, which is so for the further attempts after a cut, too.
func (c *cuts) wait() time.Duration {
	if !c.waits {
		return 0
	}
	c.waits = false
	return hold.Delay(c.brief - freeCuts)
}

// cutting is what a Watch knows of cuts. It is safe for concurrent use.
type cutting struct {
	mu    sync.Mutex
	cuts  cuts
	next  int         // the server that is tried next after a wait
	told  bool        // the owner was told reasonCut
	quiet *time.Timer // tells the owner when it is over; nil: it is not set
}

// holdBack implements nats.ReconnectToServerHandler. nats.go waits by itself only after it has
// tried all servers, and begins anew with each cut. It holds its lock meanwhile.
func (c *cutting) holdBack(servers []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts.cut(time.Now())
	wait := c.cuts.wait()
	if wait == 0 || len(servers) == 0 {
		return nil, 0 // nats.go chooses
	}
	c.next = (c.next + 1) % len(servers)
	return &servers[c.next], wait
}

// connected says that there is a connection. If cuts were told, and this one lasts, that is
// taken back.
func (c *cutting) connected(tell func(transport.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts.connected(time.Now())
	if c.told {
		c.quiet = time.AfterFunc(often, func() { c.recover(tell, nil) })
	}
}

// cut says that the connection is gone, and tells the owner if that happens again and again.
func (c *cutting) cut(tell func(transport.Event), err error) {
	c.mu.Lock()
	c.cuts.cut(time.Now())
	if c.quiet != nil {
		c.quiet.Stop()
		c.quiet = nil
	}
	tells := !c.told && c.cuts.often >= toldCuts
	c.told = c.told || tells
	c.mu.Unlock()
	if tells {
		tell(transport.Event{Kind: transport.Degraded, Reason: reasonCut, Err: err})
	}
}

// recover takes back what cut has told; why is nil if the connection has lasted.
func (c *cutting) recover(tell func(transport.Event), why error) {
	c.mu.Lock()
	told := c.told
	c.told = false
	if c.quiet != nil {
		c.quiet.Stop()
		c.quiet = nil
	}
	c.mu.Unlock()
	if told {
		tell(transport.Event{Kind: transport.Recovered, Reason: reasonCut, Err: why})
	}
}
