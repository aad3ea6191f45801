// Package stan is the transport over NATS Streaming, on stan.go. Services do
// not import it: client.Build uses it unless told otherwise.
//
// What the server can't do, and so [transport.Features] of this package say
// no: headers, negative acknowledgement, extending the ack wait, deduplication.
// The ack wait is whole seconds, since the protocol carries it so.
package stan
