// Package memory is a broker within the process, and the transport to it. It has the
// semantics of the real brokers: channels that keep their messages, queue groups and
// durables, start positions, redelivery after the ack wait, and a limit of messages in
// flight. What it stores is gone when the process ends.
//
// A [Broker] behaves like NATS Streaming or like JetStream, as its options say. Its methods
// cause faults on demand and show what is stored.
//
// The broker takes its time from package time, and starts goroutines only while there is
// something to deliver or to wait for. So in a testing/synctest bubble an ack wait passes
// in no time.
package memory
