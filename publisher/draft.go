package publisher

// draft is an event that is about to be published, where the codec can take its address,
// and what its message needs besides. Publishers keep drafts in a pool.
type draft[T any] struct {
	event   T
	scratch scratch
}

// scratch is the part of a draft that does not depend on the type.
type scratch struct {
	payload []byte
}

// largeBuffer is from what size on, in bytes, a payload's buffer is not kept: it is seldom
// needed.
const largeBuffer = 64 << 10

// lend returns a draft of the event.
func (p *Publisher[T]) lend(event T) *draft[T] {
	d, _ := p.drafts.Get().(*draft[T])
	d.event = event
	return d
}

// giveBack empties the draft, so that the pool keeps nothing of the event alive.
func (p *Publisher[T]) giveBack(d *draft[T]) {
	var zero T
	d.event = zero
	if cap(d.scratch.payload) > largeBuffer {
		d.scratch.payload = nil
	}
	p.drafts.Put(d)
}
