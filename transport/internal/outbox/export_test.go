package outbox

// Queued is how long the queue is, settled publishes included.
func (o *Outbox) Queued() int { return o.queue.Len() }
