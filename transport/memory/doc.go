// Package memory is a broker within the process, and the transport to it, with the
// semantics of the real ones: channels that keep their messages, queue groups and
// durables, start positions, redelivery after the ack wait, bounded messages in
// flight. It keeps nothing beyond the process.
//
// It takes its time from package time and starts goroutines only while there is
// something to deliver or to wait for, so that in a testing/synctest bubble an ack
// wait passes in no time.
//
// A [Broker] behaves like NATS Streaming or like JetStream, as its options say,
// and its methods cause faults on demand and show what is stored.
package memory
