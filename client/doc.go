// Package client connects a service to its broker: one call, [Build], makes the [Client]
// that publishers and listeners are made from, and one, [Run], runs them until the service
// is to end, and closes the client.
//
//	c, err := client.Build(ctx, "ticketing", "orders-7d4b", "nats://nats-srv:4222")
//	if err != nil {
//		return err
//	}
//	l, err := listener.New(c, "orders", handle)
//	if err != nil {
//		return err
//	}
//	return client.Run(ctx, c, l)
//
// Build waits for a server that is not there yet until its context is done, and says in the
// log what to check. [FromEnv] takes the same three arguments from the environment.
//
// From then on the client reconnects by itself. [Client.Status] returns its state,
// [Client.Watch] what happens to it, and [Client.Healthy], which [HealthHandler] serves to
// probes, asks the broker. Other parts of a service report through the client as a
// [Component]. [Client.NATSConn] gives a NATS connection for all else.
package client
