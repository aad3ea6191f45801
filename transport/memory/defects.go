package memory

// defect is something that the broker does wrong on purpose. The tests of this package
// set one to show that the conformance suite finds it; no option does.
type defect int

const (
	noDefect defect = iota
	acceptsOversize
	acknowledgesAfterClose
	acknowledgesEarly
	countsNoDeliveries
	cutsPayloads
	deliversAfterStop
	forgetsBacklog
	forgetsDurable
	ignoresAcks
	ignoresInProgress
	ignoresMaxInFlight
	ignoresMessageID
	ignoresNakDelay
	ignoresPosition
	keepsDeletedDurable
	losesHeaders
	losesReleased
	mixesGroups
	neverRedelivers
	redeliversReleased
	refusesReleased
	sharesNothing
	shufflesReplay
)
