// Package client connects a service to its broker: one call, [Build], makes the
// [Client] that publishers and listeners are made from.
//
//	c, err := client.Build(ctx, "ticketing", "orders-7d4b", "nats://nats-srv:4222")
//	if err != nil {
//		return err
//	}
//	defer c.Close(context.WithoutCancel(ctx))
//
// Build waits for a server that is not there yet, until its context is done,
// and says in the log what to check. [FromEnv] takes the same three arguments
// from the environment.
//
// From then on the client reconnects by itself. [Client.Status] says how it is,
// [Client.Watch] what happens to it, and [Client.Healthy], which [HealthHandler]
// serves to probes, asks the broker.
package client
