package proxy

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy forwards connections to one server. Its methods are safe for concurrent
// use, and what they do holds until another undoes it.
type Proxy struct {
	listener net.Listener
	server   string
	done     chan struct{}
	running  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when what is below changes
	refuse  bool
	stall   bool
	delay   [2]time.Duration // by direction
	links   map[*link]struct{}
	closed  bool
}

// Direction is the way that bytes take.
type Direction int

// The two directions.
const (
	ToServer Direction = iota
	ToClient
)

// Start listens on a free port of the loopback address for what is to go to
// server, an address such as 127.0.0.1:4222. Nobody need listen there yet.
func Start(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // there is nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{listener: l, server: server, done: make(chan struct{}), changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the proxy and all connections, and waits for their end.
func (p *Proxy) Close() {
	p.set(func() {
		if !p.closed {
			p.closed = true
			close(p.done)
		}
	})
	_ = p.listener.Close()
	p.Cut()
	p.running.Wait()
}

// Cut resets all connections, at both ends. New ones are taken.
func (p *Proxy) Cut() {
	for _, l := range p.all() {
		l.cut()
	}
}

// Refuse makes new connections be reset at once, or no longer. The port stays the
// proxy's: another program could get it otherwise.
func (p *Proxy) Refuse(on bool) { p.set(func() { p.refuse = on }) }

// Stall makes the link a black hole, or no longer. Nothing gets through, the end of
// a connection included; new connections are taken, and stay silent. What was sent
// meanwhile arrives when the stall ends, as TCP sends again what nobody confirmed.
func (p *Proxy) Stall(on bool) { p.set(func() { p.stall = on }) }

// Drop makes the connections that are there go dead, as when a router forgets them:
// what they send is swallowed, their end is told to nobody. New ones work.
func (p *Proxy) Drop() {
	links := p.all()
	p.set(func() {
		for _, l := range links {
			l.dead = true
		}
	})
}

// HalfClose ends one direction of all connections. The other goes on.
func (p *Proxy) HalfClose(d Direction) {
	for _, l := range p.all() {
		closeWrite(l.end[d])
	}
}

// Delay makes bytes take that much longer in each direction.
func (p *Proxy) Delay(toServer, toClient time.Duration) {
	p.set(func() { p.delay = [2]time.Duration{ToServer: toServer, ToClient: toClient} })
}

// Connections is how many there are, dead ones included.
func (p *Proxy) Connections() int { return len(p.all()) }

// set changes the state and wakes what waits for that.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.connect(client) })
	}
}

// connect connects a client with the server, once the link lets it through, and
// returns when both directions have ended.
func (p *Proxy) connect(client net.Conn) {
	if !p.wait(func() bool { return !p.stall || p.refuse }) || p.refusing() {
		reset(client)
		return
	}
	server, err := net.DialTimeout("tcp", p.server, time.Second) //nolint:noctx // the time bounds it
	if err != nil {
		reset(client)
		return
	}
	l := &link{proxy: p, end: [2]net.Conn{ToServer: server, ToClient: client}, gone: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		l.cut()
	}
	var both sync.WaitGroup
	both.Go(func() { l.forward(ToServer) })
	both.Go(func() { l.forward(ToClient) })
	both.Wait()
	l.cut()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *Proxy) refusing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse
}

// wait waits until the state is as is says, which is called with p.mu held, and
// reports whether it came to that before the proxy was closed.
func (p *Proxy) wait(is func() bool) bool {
	for {
		p.mu.Lock()
		so, changed := is(), p.changed
		p.mu.Unlock()
		if so {
			return true
		}
		select {
		case <-p.done:
			return false
		case <-changed:
		}
	}
}

// reset closes a connection so that the other end gets an error, not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
