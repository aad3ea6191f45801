// Package schedule decides which events of a listener run when, and what becomes of
// each. It is pure: it starts no goroutine, takes no lock, reads no clock and writes no
// log. The listener tells a [Scheduler] what happens, with the time; the Scheduler
// answers with the next [Task] to run and with the [Effect] list that the listener has
// to perform. So the same inputs always lead to the same decisions, and the simulation
// in this package can repeat any run by its seed.
package schedule
