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
package client
