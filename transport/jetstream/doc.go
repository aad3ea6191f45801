// Package jetstream is the transport for NATS JetStream. Services use it through
// client.JetStream, which takes the options of this package.
//
// The cluster ID is the name of a stream, which holds all subjects. The stream
// and the consumers are made where they are missing. A queue group is a durable
// pull consumer for each subject, shared by the members; its name is made from
// the subject and the group, see [ConsumerName].
//
// Nothing that exists is changed without being asked for. A setting that makes
// it another stream or consumer (retention, storage, where it begins, its filter,
// how it is acknowledged) is an error that names each field; a setting that only
// tunes it (limits, ack wait) is a warning, and the server's is used, unless
// [UpdateStream] or [UpdateConsumer] is given. [BindOnly] makes nothing at all.
package jetstream
