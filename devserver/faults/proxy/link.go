package proxy

import (
	"net"
	"sync"
	"time"
)

// link is one connection of a client, and the one to the server that belongs to it.
type link struct {
	proxy *Proxy
	end   [2]net.Conn // that the bytes of a direction go to
	dead  bool        // guarded by proxy.mu
	once  sync.Once
	gone  chan struct{} // closed when it is cut
}

// parcel is what was read at once. With no data it is the end.
type parcel struct {
	data []byte
	due  time.Time
}

// held is how many parcels are on their way in one direction at most; then the
// sender's own buffers fill, and it has to wait.
const held = 4096

func (l *link) cut() {
	l.once.Do(func() {
		close(l.gone)
		reset(l.end[ToServer])
		reset(l.end[ToClient])
	})
}

// forward carries what goes in a direction until it ends.
func (l *link) forward(d Direction) {
	road := make(chan parcel, held)
	var reader sync.WaitGroup
	reader.Go(func() { l.read(d, road) })
	l.write(d, road)
	reader.Wait()
}

// read takes what the sender sends, its end last.
func (l *link) read(d Direction, road chan<- parcel) {
	from := l.end[1-d]
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		due := time.Now().Add(l.delay(d))
		if n > 0 && !l.put(road, parcel{append([]byte(nil), buffer[:n]...), due}) {
			return
		}
		if err != nil {
			l.put(road, parcel{due: due})
			return
		}
	}
}

func (l *link) put(road chan<- parcel, p parcel) bool {
	select {
	case road <- p:
		return true
	case <-l.gone:
		return false
	}
}

// write hands on what was read, when it is due and the link lets it through.
func (l *link) write(d Direction, road <-chan parcel) {
	for {
		var next parcel
		select {
		case next = <-road:
		case <-l.gone:
			return
		}
		if !l.through(next.due) {
			return
		}
		switch {
		case l.isDead():
			if next.data == nil {
				return // told to nobody
			}
		case next.data == nil:
			closeWrite(l.end[d])
			return
		default:
			if _, err := l.end[d].Write(next.data); err != nil {
				l.cut() // the other end is gone
				return
			}
		}
	}
}

// through waits until what is due at that time may pass.
func (l *link) through(due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-l.gone:
			return false
		}
	}
	for {
		l.proxy.mu.Lock()
		open, changed := !l.proxy.stall || l.dead, l.proxy.changed
		l.proxy.mu.Unlock()
		if open {
			return true
		}
		select {
		case <-changed:
		case <-l.gone:
			return false
		}
	}
}

func (l *link) isDead() bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return l.dead
}

func (l *link) delay(d Direction) time.Duration {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return l.proxy.delay[d]
}
