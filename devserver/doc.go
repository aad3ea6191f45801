// Package devserver runs a NATS Streaming server inside the process, for demos
// and for tests that would otherwise need a container.
//
// It's the server the ticketing services use (nats-streaming-server 0.25.6,
// with its embedded nats-server, whose JetStream is switched on), bound to the
// loopback address, quiet, and set to the heartbeats of the deployed one:
//
//	srv, err := devserver.Start()
//	if err != nil {
//		return err
//	}
//	defer srv.Shutdown()
//	conn, err := stan.Connect(srv.ClusterID(), "orders-1", stan.NatsURL(srv.URL()))
//
// Without options the server takes any free port and keeps events in memory.
// [StoreDir] keeps them in files, so that [Server.Restart] brings them back;
// [Server.RestartEmpty] acts out what the deployed server does, which keeps
// them in memory and forgets them when its pod is replaced.
//
// Any number of servers can run in one process at the same time, each with its
// own port and, if it has one, its own store directory.
//
// [StartStreamingCluster] and [StartJetStreamCluster] start three nodes of which
// tests kill one and bring it back, to see what clients make of it.
//
// None of this is for production: there is no TLS, and a cluster's nodes share
// one machine.
package devserver
