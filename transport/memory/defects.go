package memory

// defect is what a broker does wrong on purpose, to show that the conformance
// suite finds it. No option sets one: the tests of this package do.
type defect int

const (
	noDefect defect = iota
	acceptsOversize
	acknowledgesAfterClose
	acknowledgesEarly
	countsNoDeliveries
	cutsPayloads
	deliversAfterStop
	forgetsDurable
	ignoresAcks
	ignoresInProgress
	ignoresMaxInFlight
	ignoresMessageID
	ignoresNakDelay
	ignoresPosition
	keepsDeletedDurable
	losesHeaders
	mixesGroups
	neverRedelivers
	sharesNothing
	shufflesReplay
)
