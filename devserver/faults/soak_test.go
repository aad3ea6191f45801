package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver/faults/proxy"
)

// accident is a fault of the soak. It takes at most d.
type accident struct {
	name   string
	happen func(t *testing.T, c *scene, d time.Duration)
}

var accidents = []accident{
	{"the server is killed", func(t *testing.T, c *scene, d time.Duration) {
		t.Helper()
		c.server.kill()
		time.Sleep(d)
		c.server.start(t)
	}},
	{"the server freezes", func(t *testing.T, c *scene, d time.Duration) {
		t.Helper()
		c.server.freeze(t)
		time.Sleep(d)
		c.server.thaw(t)
	}},
	{"the link is cut", func(_ *testing.T, c *scene, d time.Duration) {
		c.link.Refuse(true)
		c.link.Cut()
		time.Sleep(d)
		c.link.Refuse(false)
	}},
	{"the link flickers", func(_ *testing.T, c *scene, d time.Duration) {
		for range 5 {
			c.link.Cut()
			time.Sleep(d / 5)
		}
	}},
	{"the link stalls", func(_ *testing.T, c *scene, d time.Duration) {
		c.link.Stall(true)
		time.Sleep(d)
		c.link.Stall(false)
	}},
	{"what the link holds is lost", func(_ *testing.T, c *scene, d time.Duration) {
		c.link.Stall(true)
		time.Sleep(d)
		c.link.Cut()
		c.link.Stall(false)
	}},
	{"the link dies", func(_ *testing.T, c *scene, _ time.Duration) { c.link.Drop() }},
	{"the link closes to the server", func(_ *testing.T, c *scene, _ time.Duration) { c.link.HalfClose(proxy.ToServer) }},
	{"the link closes to the client", func(_ *testing.T, c *scene, _ time.Duration) { c.link.HalfClose(proxy.ToClient) }},
	{"the link is slow", func(_ *testing.T, c *scene, d time.Duration) {
		c.link.Delay(d/20, d/10)
		time.Sleep(d)
		c.link.Delay(0, 0)
	}},
}

// longest is how long an accident of the soak takes at most: longer than pings need
// to find a link dead.
const longest = 6 * time.Second

// offered is how many events a second are to be published: more than 500, so that these
// are published although publishers wait while there is no server.
const offered = 600

// TestSoak throws random faults at both transports, one after the other without
// pause, under load. The same seed draws the same faults.
func TestSoak(t *testing.T) {
	t.Parallel()
	if *soak == 0 {
		t.Skip("make soak MINUTES=n")
	}
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("seed %d", from)
	goals := fault{name: "random faults for " + soak.String(), goal: "nothing lost, refused, or handled twice", back: 10 * time.Second}
	for _, s := range sides() {
		t.Run(s.title, func(t *testing.T) {
			t.Parallel()
			c := newScene(t, s, perSecond(offered))
			draw := rand.New(rand.NewPCG(from, 0))
			c.begin(t)
			happened := 0
			for end := time.Now().Add(*soak); time.Now().Before(end) && !t.Failed(); happened++ {
				a, d := accidents[draw.IntN(len(accidents))], time.Duration(draw.Int64N(int64(longest)))
				c.ledger.strike(func() { a.happen(t, c, d) })
				c.ledger.over()
				await(patience, c.ledger.isBack)
				require.True(t, c.ledger.isBack(), "not back after %s for %v", a.name, d)
			}
			end := c.end(t)
			r := result{account: end, row: goals.name, goal: goals.goal, side: s}
			if s.ours() {
				r.missed = goals.missed(c, end)
			}
			t.Logf("%d faults, %.0f events/s: %s", happened, float64(end.published)/soak.Seconds(), end)
			faultTable.enter(t, 0, r)
		})
	}
}
