// Package stan is the transport over NATS Streaming, on stan.go. Services do
// not import it: client.Build uses it unless told otherwise.
//
// The server has no headers, no negative acknowledgement, no extension of the ack wait and no
// deduplication: [transport.Features] say so. The ack wait is whole seconds, since the
// protocol carries it so.
package stan
