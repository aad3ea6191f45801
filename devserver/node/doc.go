// Package node holds the tests of the library together with Node services: the
// embedded server, Go on one side of it, and on the other node-nats-streaming,
// the client that those services use, or @nats-io/jetstream, that of JetStream.
//
// The tests need Node and packages from npm. They have the build tag node, so
// that go test ./... passes them by without a word, and none is ever skipped:
//
//	sh node/install.sh && go test -tags node ./node
//
// The JavaScript is written as the Node services are. publish.js, listen.js and
// jetstream.js tell what they do; samples.js and samples_test.go are one table in two languages.
package node
